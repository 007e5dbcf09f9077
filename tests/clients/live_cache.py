"""PiecesClient of pieces_os_client 5 with its live cache. Usage: live_cache.py NAME PORT"""

import sys

from check import check, finish, until
from pieces_os_client.wrapper import PiecesClient

name, port = sys.argv[1:3]
# The documented way to a fixed port does not exist; this is where the scan's result comes from.
PiecesClient._port_scanning = staticmethod(lambda *args, **kwargs: port)
state = {}


def construct():
    import sdk
    state["sdk"] = sdk
    plain = sdk.ConversationsApi(sdk.ApiClient(sdk.Configuration(host=f"http://127.0.0.1:{port}")))
    state["plain"] = plain
    state["plain_assets"] = sdk.AssetsApi(plain.api_client)
    for title in ["Before one", "Before two"]:
        plain.conversations_create_specific_conversation(
            seeded_conversation=sdk.SeededConversation(type="COPILOT", name=title)
        )
    state["client"] = PiecesClient()


def cache():
    import threading
    ready = threading.Thread(target=state["client"].wait_for_cache if hasattr(state["client"], "wait_for_cache")
                             else state["client"].ensure_initialization, daemon=True)
    ready.start()
    ready.join(30)
    assert not ready.is_alive(), "wait_for_cache() does not return"


def names():
    found = []
    for chat in state["client"].copilot.chats():
        try:
            found.append(chat.name)
        except ValueError:  # it went in between
            pass
    return found


def first_frame():
    until(lambda: {"Before one", "Before two"} <= set(names()), f"chats of the first frame, found {names()}")


def create():
    chat = state["client"].copilot.create_chat("From the SDK")
    state["chat"] = chat
    until(lambda: "From the SDK" in names(), "the new chat")


def rename():
    state["chat"].name = "Renamed by the SDK"
    until(lambda: "Renamed by the SDK" in names(), "the new name")


def others():
    state["other"] = state["plain"].conversations_create_specific_conversation(
        seeded_conversation=state["sdk"].SeededConversation(type="COPILOT", name="From elsewhere")
    )
    until(lambda: "From elsewhere" in names(), "somebody else's chat")
    state["plain"].conversations_delete_specific_conversation(state["other"].id)
    until(lambda: "From elsewhere" not in names(), "its end")


def delete():
    state["chat"].delete()
    until(lambda: "Renamed by the SDK" not in names(), "the end of the chat")


def content(made):
    for asset in state["client"].assets():
        if asset._id == made:
            try:
                return asset.raw_content
            except ValueError:  # listed, but not fetched yet
                return None
    return None


def material():
    made = state["client"].create_asset("fn saved() {}")
    until(lambda: content(made) == "fn saved() {}", "the new material")
    state["plain_assets"].assets_delete_asset(made)
    until(lambda: made not in [asset._id for asset in state["client"].assets()], "its end")


for step in [construct, cache, first_frame, create, rename, others, delete, material]:
    check(f"{name} {step.__name__}", step)
finish()
