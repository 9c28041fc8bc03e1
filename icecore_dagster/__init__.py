"""Find volcanic ash, pollen and anomalies among the particles of ice cores imaged by a FlowCam."""

__version__ = "0.1.0"
