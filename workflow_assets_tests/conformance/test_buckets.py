"""The store in a bucket, held to the laws of all stores, on a real server."""

import pytest

from workflow_assets.store.base import Store
from workflow_assets.store.signatures import OWN, Policy
from workflow_assets_tests.conformance.buckets import BUCKET, Server, unique_place
from workflow_assets_tests.conformance.stores import StoreLaws


class TestS3Store(StoreLaws):
    """The store in a bucket."""

    flipped_every = 299
    referred, referred_at_once, written_at_once = 70, 9, 12

    @pytest.fixture(autouse=True)
    def place(self, server: Server) -> None:
        """Begin with an empty place."""
        self.server = server
        self.name = unique_place()
        self.prefix = self.name.removeprefix(f"s3://{BUCKET}/") + "/"

    def open(self, *, pickles: Policy = OWN) -> Store:
        return self.server.open(self.name, pickles=pickles)

    def get_object(self, name: str) -> bytes:
        return self._get(f"objects/{name[:2]}/{name}")

    def set_object(self, name: str, data: bytes | None) -> None:
        self._set(f"objects/{name[:2]}/{name}", data)

    def get_record(self, key: str) -> bytes:
        return self._get(f"records/{key[:2]}/{key}.json")

    def set_record(self, key: str, data: bytes | None) -> None:
        self._set(f"records/{key[:2]}/{key}.json", data)

    def _get(self, name: str) -> bytes:
        return self.server.client.get_object(Bucket=BUCKET, Key=self.prefix + name)["Body"].read()

    def _set(self, name: str, data: bytes | None) -> None:
        where = {"Bucket": BUCKET, "Key": self.prefix + name}
        if data is None:
            self.server.client.delete_object(**where)
        else:
            self.server.client.put_object(**where, Body=data)
