"""Opening the store in a place, wherever that is."""

from __future__ import annotations

import os

from workflow_assets.store.base import Store
from workflow_assets.store.files import FileStore
from workflow_assets.store.s3 import S3Store


def open_store(place: str | os.PathLike[str]) -> Store:
    """Open the store in a local folder or, for `s3://bucket/prefix`, in a bucket; with the usual policy for pickles.

    >>> open_store("s3://results/study")
    S3Store('s3://results/study')

    Raises `StoreError` for a place in a bucket that is none.
    """
    if isinstance(place, str) and place.lower().startswith("s3:"):
        return S3Store(place)
    return FileStore(place)
