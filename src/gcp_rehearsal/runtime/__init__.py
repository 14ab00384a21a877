"""A rehearsed Cloud Run that really serves: processes on this machine, behind a front end as Cloud Run's."""
