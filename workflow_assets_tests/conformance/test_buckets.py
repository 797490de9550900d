"""The store in a bucket, held to the laws of all stores, on a real server."""

import pytest

from workflow_assets.store.base import Store
from workflow_assets.store.s3 import S3Store
from workflow_assets_tests.conformance.buckets import OPTIONS, Server, unique_place
from workflow_assets_tests.conformance.stores import StoreLaws


class TestS3Store(StoreLaws):
    """The store in a bucket."""

    @pytest.fixture(autouse=True)
    def place(self, server: Server) -> None:
        """Begin with an empty place, and one client for all who open it: each takes a tenth of a second to make."""
        self.first = S3Store(unique_place(), endpoint_url=server.url, options=OPTIONS)
        self.client = self.first._bucket.connected()

    def open(self, *, pickles: bool = True) -> Store:
        place = f"s3://{self.first._bucket.name}/{self.first._bucket.prefix}"
        store = S3Store(place, endpoint_url=self.first._bucket.endpoint_url, options=OPTIONS, pickles=pickles)
        store._bucket._client = self.first._bucket._client
        return store

    def get_object(self, name: str) -> bytes:
        return self._get(f"objects/{name[:2]}/{name}")

    def set_object(self, name: str, data: bytes | None) -> None:
        self._set(f"objects/{name[:2]}/{name}", data)

    def get_record(self, key: str) -> bytes:
        return self._get(f"records/{key[:2]}/{key}.json")

    def set_record(self, key: str, data: bytes | None) -> None:
        self._set(f"records/{key[:2]}/{key}.json", data)

    def _get(self, name: str) -> bytes:
        return self.client.get_object(Bucket=self.first._bucket.name, Key=self.first._bucket.prefix + name)["Body"].read()

    def _set(self, name: str, data: bytes | None) -> None:
        where = {"Bucket": self.first._bucket.name, "Key": self.first._bucket.prefix + name}
        if data is None:
            self.client.delete_object(**where)
        else:
            self.client.put_object(**where, Body=data)
