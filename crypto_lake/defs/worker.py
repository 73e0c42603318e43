"""`celery --app crypto_lake.defs.worker worker`: a worker, by the `dagster.yaml` of `$DAGSTER_HOME`."""

from crypto_lake.defs.fleet import app as of_this_instance

app = of_this_instance()
