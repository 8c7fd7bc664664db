"""Say where what a method of Table 1 reads of one database lies, and what is in it."""

import click

from pipeline import comparators, networks, paths
from pipeline.storage import parts, sources
from pipeline.storage.outputs import staged
from stages.command import stage

ARRAYS = {"flow": paths.flow, "frames": paths.stabilised, "key_flow": paths.key_flow}


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
        arrays, needs_apex = ARRAYS[network.reads](database), network.needs_apex
        # Key-frame flow ends at the apex already; of frames the network selects some.
        if needs_apex and network.reads == "frames":
            recordings = parts.file_of(paths.recordings(database))
    else:
        arrays, needs_apex = paths.features(database, method), comparators.reads(method) == "key_flow"
    apex = parts.file_of(paths.apex(database)) if needs_apex else None
    target = paths.inputs_of(dataset, method, database)
    with staged(paths.partial("inputs", dataset, database, method), target) as [path]:
        path.write_text(sources.manifest(parts.file_of(arrays), recordings, apex), encoding="utf-8")


if __name__ == "__main__":
    main()
