"""Named pieces of work: what the landing sensor, a backfill and the command line ask for."""

import dagster as dg

SEGMENT_INGEST = ("segment_particles",)
SEGMENT_SCORES = ("segment_predictions", "segment_anomaly_scores", "segment_embedding")
SEGMENT_ASSETS = (*SEGMENT_INGEST, "segment_crops", *SEGMENT_SCORES)
CORE_ASSETS = ("class_distribution", "anomaly_ranking", "core_report")
LABELLED_ASSETS = ("synthetic_particles", "synthetic_split", "synthetic_tensors")

ingest_segment = dg.define_asset_job(
    "ingest_segment",
    selection=dg.AssetSelection.assets(*SEGMENT_INGEST),
    description="Read the runs of one segment from the landing folder; scoring follows by itself.",
)
score_segment = dg.define_asset_job(
    "score_segment",
    selection=dg.AssetSelection.assets("segment_crops", *SEGMENT_SCORES),
    description="Pack and score a segment that has been read.",
)
process_segment = dg.define_asset_job(
    "process_segment",
    selection=dg.AssetSelection.assets(*SEGMENT_ASSETS),
    description="Read and score one segment from the landing folder; backfill a core with this.",
)
prepare_labelled = dg.define_asset_job(
    "prepare_labelled",
    selection=dg.AssetSelection.assets(*LABELLED_ASSETS),
    description="Labelled runs -> table, split and tensors.",
)
train_network = dg.define_asset_job(
    "train_network",
    selection=dg.AssetSelection.assets("cnn_model"),
    description="Train one image network for one task.",
)
train_trees = dg.define_asset_job(
    "train_trees",
    selection=dg.AssetSelection.assets("lightgbm_model"),
    description="Train LightGBM on the FlowCam properties for one task.",
)
train_forest = dg.define_asset_job(
    "train_forest",
    selection=dg.AssetSelection.assets("isolation_forest"),
    description="Train the isolation forest on dust.",
)
map_labelled = dg.define_asset_job(
    "map_labelled",
    selection=dg.AssetSelection.assets("synthetic_umap"),
    description="Map the labelled particles.",
)
map_ice = dg.define_asset_job(
    "map_ice",
    selection=dg.AssetSelection.assets("ice_umap"),
    description="Map the particles of all cores.",
)

JOBS = (
    ingest_segment,
    score_segment,
    process_segment,
    prepare_labelled,
    train_network,
    train_trees,
    train_forest,
    map_labelled,
    map_ice,
)
