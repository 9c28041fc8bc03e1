"""What Dagster sees: assets, partitions, checks, jobs, sensors and schedules over the plain rooms below."""

import warnings

from dagster import BetaWarning, PreviewWarning

# Two parts of Dagster that are still marked as new are used knowingly: checks with partitions, so that one bad segment
# gates itself alone, and the mapping from a core to its segments. The versions that were tested are pinned.
warnings.filterwarnings("ignore", category=BetaWarning)
warnings.filterwarnings("ignore", category=PreviewWarning)
