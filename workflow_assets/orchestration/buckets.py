"""Stores in buckets, with what Dagster's resource for S3 knows of the service."""

from typing import TYPE_CHECKING

from workflow_assets.errors import StoreError
from workflow_assets.store.s3 import S3Store

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource


def s3_store(place: str, resource: "S3Resource") -> S3Store:
    """Open the store in a bucket with the endpoint, region and credentials of Dagster's `S3Resource`.

    >>> from dagster_aws.s3 import S3Resource
    >>> s3_store("s3://results/study", S3Resource(endpoint_url="http://127.0.0.1:9000"))
    S3Store('s3://results/study', endpoint_url='http://127.0.0.1:9000')

    Args:
        place: the bucket, and where in it: `s3://bucket/prefix`.
        resource: what other assets use, too; what it takes from the environment is read now.

    Raises `StoreError` for a place that is none, and for a resource that turns off what a store relies on.
    """
    known = resource.process_config_and_initialize()
    if not known.use_ssl or known.verify is False:
        raise StoreError(
            "the S3 resource turns encryption or the verification of certificates off: give the endpoint's whole URL, "
            "http://… or https://…, and name the authority's certificate in AWS_CA_BUNDLE"
        )
    options = {
        "key": known.aws_access_key_id,
        "secret": known.aws_secret_access_key,
        "token": known.aws_session_token,
        "profile": known.profile_name,
        "region": known.region_name,
        "anon": known.use_unsigned_session or None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return S3Store(place, endpoint_url=known.endpoint_url, options=given)
