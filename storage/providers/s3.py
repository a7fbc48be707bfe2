"""S3, and what speaks its protocol: MinIO, DigitalOcean Spaces and others."""

from __future__ import annotations

from storage.backends.s3.backend import S3Entries
from storage.core.store import Store
from storage.providers.store import StoreProvider


class S3Provider(StoreProvider):
    """Objects in a bucket, which must exist.

    :param region_name: of the bucket; as boto3 finds it by default, like the keys.
    :param endpoint_url: of another server than that of AWS.
    :param store: the name by which the entries of this provider are told from others in the bucket.
    """

    def __init__(
        self,
        bucket_name: str,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        store: str = "default",
    ) -> None:
        entries = S3Entries(
            bucket_name,
            store,
            endpoint=endpoint_url,
            region=region_name,
            access_key=aws_access_key_id,
            secret_key=aws_secret_access_key,
        )
        super().__init__(Store(entries, "s3"))
