"""Named pieces of work: what the landing sensor, a backfill and the command line ask for."""

import dagster as dg

from icecore_dagster.orchestration.automation import SCORED_IN_THE_SAME_RUN

SEGMENT_INGEST = ("segment_particles",)
SEGMENT_SCORES = ("segment_predictions", "segment_anomaly_scores", "segment_embedding")
SEGMENT_ASSETS = (*SEGMENT_INGEST, "segment_crops", *SEGMENT_SCORES)
CORE_ASSETS = ("class_distribution", "anomaly_ranking", "core_report")
LABELLED_ASSETS = ("synthetic_particles", "synthetic_split", "synthetic_tensors")

_SCORES_WHAT_IT_MAKES = {SCORED_IN_THE_SAME_RUN: "yes"}

ingest_segment = dg.define_asset_job(
    "ingest_segment",
    selection=dg.AssetSelection.assets(*SEGMENT_INGEST),
    description="Read the runs of one segment from the landing folder; scoring follows by itself.",
)
score_segment = dg.define_asset_job(
    "score_segment",
    selection=dg.AssetSelection.assets("segment_crops", *SEGMENT_SCORES),
    description="Pack and score a segment that has been read.",
    tags=_SCORES_WHAT_IT_MAKES,
)
process_segment = dg.define_asset_job(
    "process_segment",
    selection=dg.AssetSelection.assets(*SEGMENT_ASSETS),
    description="Read and score one segment from the landing folder; backfill a core with this.",
    tags=_SCORES_WHAT_IT_MAKES,
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
rank_networks = dg.define_asset_job(
    "rank_networks",
    selection=dg.AssetSelection.assets("network_leaderboard"),
    description="Compare all saved image networks, task by task.",
)
train_trees = dg.define_asset_job(
    "train_trees",
    selection=dg.AssetSelection.assets("lightgbm_model"),
    description="Train LightGBM on one feature set for one task.",
)
train_dense = dg.define_asset_job(
    "train_dense",
    selection=dg.AssetSelection.assets("dense_model"),
    description="Train a dense network on one feature set for one task.",
)
compute_transfer_features = dg.define_asset_job(
    "compute_transfer_features",
    selection=dg.AssetSelection.assets("transfer_features"),
    description="Labelled crops -> ImageNet features.",
)
train_forest = dg.define_asset_job(
    "train_forest",
    selection=dg.AssetSelection.assets("isolation_forest"),
    description="Train the isolation forest on dust.",
)
train_autoencoder = dg.define_asset_job(
    "train_autoencoder",
    selection=dg.AssetSelection.assets("autoencoder"),
    description="Train one autoencoder on dust.",
)
train_siamese = dg.define_asset_job(
    "train_siamese",
    selection=dg.AssetSelection.assets("siamese_model"),
    description="Train the siamese network, and measure what few examples of a new material are worth.",
)
measure_augmentation = dg.define_asset_job(
    "measure_augmentation",
    selection=dg.AssetSelection.assets("vae_augmentation"),
    description="See whether drawn images of a rare class help a network.",
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
show_first = dg.define_asset_job(
    "show_first",
    selection=dg.AssetSelection.assets("first_anomalies"),
    description="Show the first anomalies of all cores together.",
)
repeat_study = dg.define_asset_job(
    "repeat_study",
    selection=dg.AssetSelection.assets("study_comparison"),
    description="Measure the 2021 study's figures again, beside the published ones.",
)

JOBS = (
    ingest_segment,
    score_segment,
    process_segment,
    prepare_labelled,
    train_network,
    rank_networks,
    compute_transfer_features,
    train_trees,
    train_dense,
    train_forest,
    train_autoencoder,
    measure_augmentation,
    train_siamese,
    map_labelled,
    map_ice,
    show_first,
    repeat_study,
)
