"""Say where the arrays of one database of the study lie, and what is in them."""

import json
from pathlib import Path

import click

from pipeline import paths
from pipeline.errors import InputError
from pipeline.params import Database, load_params
from pipeline.storage import parts
from pipeline.storage.outputs import staged
from stages.command import stage


@stage
@click.argument("database")
def main(database: str) -> None:
    """Write the manifest of DATABASE: what the stages of the dataset depend on instead of its large files."""
    params = load_params(paths.PARAMS)
    part = parts.Part(
        database=database,
        prefix=parts.prefix(database, several=len(params.databases) > 1),
        recordings=parts.file_of(paths.recordings(database)),
        frames=parts.file_of(paths.stabilised(database)),
        flow=parts.file_of(paths.flow(database)),
        head_motion=parts.file_of(paths.head_motion(database)),
        truth=_truth(database, params.databases[database]),
        annotation=_annotation(database),
    )
    with staged(paths.partial("gather", params.dataset, database), paths.part(params.dataset, database)) as [path]:
        path.write_text(parts.as_text(part), encoding="utf-8")


def _annotation(database: str) -> dict[str, str]:
    """SHA-256 of each annotation file by its name."""
    path = paths.annotation(database)
    try:
        return {str(name): str(digest) for name, digest in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: expected the hashes that `index` writes, found something else ({error}). Delete the file and run "
            "`dvc repro`, which makes it again."
        ) from error


def _truth(database: str, settings: Database) -> parts.File | None:
    """The motion of the embedded database is known, and is that of whole frames."""
    if database != "synthetic" or settings.face != "none":
        return None
    return parts.file_of(paths.truth(Path(settings.raw)))


if __name__ == "__main__":
    main()
