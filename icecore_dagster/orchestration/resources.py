"""The laboratory as Dagster hands it to assets, sensors and schedules."""

import dagster as dg
from pydantic import Field

from icecore_dagster.particles.laboratory import Laboratory


class LaboratoryResource(dg.ConfigurableResource):
    """Where data comes from and results go; every other setting of the project is an asset's own configuration."""

    data: str = Field(description="Local folder with landing/, labelled/ and datasets/")
    storage: str = Field(
        default="", description="Folder or URL for results (s3://bucket/prefix); empty: <data>/results"
    )
    country: str = Field(default="DNK", description="ISO 3166 code of the country whose electricity is used")

    def open(self) -> Laboratory:
        """The laboratory's folders and store."""
        return Laboratory.at(self.data, self.storage or None)
