"""Cloud Run's older form, which gcloud speaks: the same things as Knative's."""
