"""Windows to forecasts; knows no files but artefacts, no MLflow."""
