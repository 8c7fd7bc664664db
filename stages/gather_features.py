"""Say where the features of one method and one database lie, and what is in them."""

import click

from pipeline import paths
from pipeline.storage import feature_files
from pipeline.storage.outputs import staged
from stages.command import stage


@stage
@click.argument("dataset")
@click.argument("database")
@click.argument("method")
def main(dataset: str, database: str, method: str) -> None:
    """Write the manifest of METHOD and DATABASE: what `classify` of DATASET depends on instead of a list of files."""
    target = paths.described_part(dataset, method, database)
    with staged(paths.partial("gather_features", dataset, database, method), target) as [path]:
        path.write_text(feature_files.manifest(paths.features(database, method)), encoding="utf-8")


if __name__ == "__main__":
    main()
