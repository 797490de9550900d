"""What a worker keeps at hand, and what it puts into the folder."""

import pickle

from workflow_assets.store.files import FileStore
from workflow_assets.store.outboxes import Outbox


def test_small_data_are_kept_at_hand_until_they_are_taken(tmp_path):
    """What is small is found and loaded here, by nobody else, and given once."""
    outbox = Outbox(str(tmp_path), pickles=True)
    record = outbox.put("a1", 0.5)
    assert outbox.find("a1") == outbox.find_all(["a1", "a2"])["a1"] == record
    assert outbox.load("a1") == 0.5
    assert FileStore(tmp_path).find("a1") is None
    assert outbox.taken() == {"a1": record}
    assert outbox.taken() == {}
    assert outbox.find("a1") is None


def test_large_data_are_in_the_folder(tmp_path):
    """What is large is there for everybody, and not handed over."""
    outbox = Outbox(str(tmp_path), pickles=True)
    outbox.put("a1", bytes(10_000))
    assert outbox.taken() == {}
    assert outbox.load("a1") == FileStore(tmp_path, pickles=True).load("a1") == bytes(10_000)


def test_what_stands_is_given_unless_it_is_to_be_replaced(tmp_path):
    """As in every store, who comes second is given what is there, kept or in the folder."""
    FileStore(tmp_path, pickles=True).put("a1", 1.0)
    outbox = Outbox(str(tmp_path), pickles=True)
    assert outbox.load(outbox.put("a1", 2.0)) == 1.0
    outbox.put("b1", 1.0)
    assert outbox.load(outbox.put("b1", 2.0)) == 1.0


def test_a_copy_for_a_worker_is_empty(tmp_path):
    """What one worker keeps is not sent to another."""
    outbox = Outbox(str(tmp_path), pickles=True)
    outbox.put("a1", 0.5)
    assert pickle.loads(pickle.dumps(outbox)).find("a1") is None
