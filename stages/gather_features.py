"""Say where the features of one method and one database lie, and what is in them."""

import click

from pipeline import paths
from pipeline.params import load_params
from pipeline.storage import feature_files
from pipeline.storage.outputs import staged
from stages.command import stage


@stage
@click.argument("database")
@click.argument("method")
def main(database: str, method: str) -> None:
    """Write the manifest of METHOD and DATABASE: what `classify` depends on, and by it on the features alone."""
    params = load_params(paths.PARAMS)
    target = paths.described_part(params.dataset, method, database)
    with staged(paths.partial("gather_features", params.dataset, database, method), target) as [path]:
        path.write_text(feature_files.manifest(paths.features(database, method)), encoding="utf-8")


if __name__ == "__main__":
    main()
