"""Say where what a method of Table 1 reads of one database lies, and what is in it."""

import click

from pipeline import networks, paths
from pipeline.storage import parts, sources
from pipeline.storage.outputs import staged
from stages.command import stage

ARRAYS = {"flow": paths.flow, "frames": paths.stabilised}


@stage
@click.argument("dataset")
@click.argument("database")
@click.argument("method")
def main(dataset: str, database: str, method: str) -> None:
    """Write the manifest of METHOD and DATABASE: what `classify` or `train_network` of DATASET depend on.

    The databases of a study cannot be listed in dvc.yaml, but the folder of their manifests can. A manifest that stays
    as it was ends a change here.
    """
    recordings = None
    if method in networks.names():
        network = networks.network(method)
        arrays = ARRAYS[network.reads](database)
        recordings = parts.file_of(paths.recordings(database)) if network.needs_apex else None
    else:
        arrays = paths.features(database, method)
    target = paths.inputs_of(dataset, method, database)
    with staged(paths.partial("inputs", dataset, database, method), target) as [path]:
        path.write_text(sources.manifest(parts.file_of(arrays), recordings), encoding="utf-8")


if __name__ == "__main__":
    main()
