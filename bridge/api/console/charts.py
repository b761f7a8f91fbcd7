"""What pages draw of changes and lag over time, by the measures of reports."""

from bridge.api.routes.devices import Lag
from bridge.report import picture
from bridge.report.changes import Bucket, Picture


def lag_chart(lag: Lag) -> picture.Chart:
    """How long changes took: the longest of each stretch of time, and the median."""
    return picture.lag_chart(_picture(lag))


def changes_chart(lag: Lag) -> picture.Chart:
    """How many changes there were; those with drift are marked."""
    return picture.changes_chart(_picture(lag))


def _picture(lag: Lag) -> Picture:
    buckets = tuple(Bucket(one.at, one.changes, one.drift, one.lag_median, one.lag_max) for one in lag.buckets)
    return Picture(lag.since, lag.until, lag.bucket_seconds, buckets)
