"""Say what each method of Table 1 describes in a database: where the arrays lie, and their hashes."""

import click

from pipeline import comparators, paths
from pipeline.storage import described, parts
from pipeline.storage.described import Reads
from pipeline.storage.outputs import staged
from stages.command import stage


@stage
@click.argument("database")
def main(database: str) -> None:
    """Write a manifest for every method there is: DVC cannot choose what `describe` depends on by the method."""
    arrays = {
        "frames": parts.file_of(paths.stabilised(database)),
        "flow": parts.file_of(paths.flow(database)),
        "key_flow": parts.file_of(paths.key_flow(database)),
    }
    folder = paths.described_by_methods(database)
    with staged(paths.partial("describe_inputs", database), folder) as [draft]:
        draft.mkdir()
        for method in comparators.methods():
            frames = arrays["frames"] if comparators.has_regions(method) else None
            reads = Reads(arrays[comparators.reads(method)], frames)
            (draft / paths.described(database, method).name).write_text(described.as_text(reads), encoding="utf-8")


if __name__ == "__main__":
    main()
