"""The generated part of pieces_os_client against a service. Usage: low_level.py NAME URL"""

import json
import sys
import urllib.request
import uuid

import sdk
from check import check, finish

name, url = sys.argv[1:3]
client = sdk.ApiClient(sdk.Configuration(host=url))


def api(group):
    return getattr(sdk, group)(client)


state = {}


def seed_asset():
    application = sdk.Application(
        id=str(uuid.uuid4()), name="OPEN_SOURCE", version="0.0.1", platform="LINUX",
        onboarded=False, privacy="OPEN",
    )
    return sdk.Seed(
        type="SEEDED_ASSET",
        asset=sdk.SeededAsset(
            application=application,
            format=sdk.SeededFormat(
                fragment=sdk.SeededFragment(
                    string=sdk.TransferableString(raw="//! Retries.\nfn retry() {}\n"),
                    metadata=sdk.FragmentMetadata(ext="rs"),
                )
            ),
            metadata=sdk.SeededAssetMetadata(
                name="retry.rs",
                anchors=[sdk.SeededAnchor(type="FILE", fullpath="/home/u/p/src/retry.rs")],
            ),
        ),
    )


def well_known():
    api_ = api("WellKnownApi")
    assert api_.get_well_known_health().startswith("ok:")
    assert api_.get_well_known_version().startswith("12.")


def connect():
    context = api("ConnectorApi").connect(
        seeded_connector_connection=sdk.SeededConnectorConnection(
            application=sdk.SeededTrackedApplication(
                name="OPEN_SOURCE", version="0.0.1", platform="LINUX"
            )
        )
    )
    again = api("ApplicationsApi").applications_snapshot()
    assert context.application.id in [application.id for application in again.iterable]
    assert any(application.name == "OS_SERVER" for application in again.iterable)


def user():
    assert api("UserApi").user_snapshot().user.id


def models():
    assert any(model.name == "GPT-3.5-turbo Chat Model" for model in api("ModelsApi").models_snapshot().iterable)


def create():
    made = api("ConversationsApi").conversations_create_specific_conversation(
        seeded_conversation=sdk.SeededConversation(
            type="COPILOT", name="Typed",
            messages=[sdk.SeededConversationMessage(
                role="USER",
                fragment=sdk.FragmentFormat(string=sdk.TransferableString(raw="hello")),
            )],
            anchors=[sdk.SeededAnchor(type="FILE", fullpath="/home/u/p/a.rs")],
            annotations=[sdk.SeededAnnotation(type="SUMMARY", text="short")],
        )
    )
    assert made.name == "Typed" and len(made.messages.iterable) == 1
    assert list(made.messages.indices.values()) == [0]
    state["conversation"] = made.id


def identifiers_and_snapshot():
    listed = api("ConversationsApi").conversations_identifiers_snapshot()
    assert state["conversation"] in [item.id for item in listed.iterable]
    snapshot = api("ConversationsApi").conversations_snapshot(transferables=False)
    found = [item for item in snapshot.iterable if item.id == state["conversation"]][0]
    point = found.anchors.iterable[0].reference.points.iterable[0].reference
    assert point.fullpath == "/home/u/p/a.rs"


def update():
    fresh = api("ConversationApi").conversation_get_specific_conversation(state["conversation"])
    fresh.name = "Renamed"
    written = api("ConversationApi").conversation_update(transferables=False, conversation=fresh)
    assert written.name == "Renamed" and len(written.messages.iterable) == 1
    assert written.updated.value >= fresh.updated.value


def messages():
    made = api("ConversationMessagesApi").messages_create_specific_message(
        seeded_conversation_message=sdk.SeededConversationMessage(
            role="ASSISTANT",
            fragment=sdk.FragmentFormat(string=sdk.TransferableString(raw="world")),
            conversation=sdk.ReferencedConversation(id=state["conversation"]),
        )
    )
    read = api("ConversationMessageApi").message_specific_message_snapshot(made.id, transferables=True)
    assert read.fragment.string.raw == "world" and read.conversation.id == state["conversation"]
    listed = api("ConversationApi").conversation_get_specific_conversation(state["conversation"])
    assert listed.messages.indices[made.id] == 1
    api("ConversationMessagesApi").messages_delete_specific_message(made.id)


def annotations():
    read = api("ConversationApi").conversation_get_specific_conversation(state["conversation"])
    annotation = api("AnnotationApi").annotation_specific_annotation_snapshot(read.annotations.iterable[0].id)
    assert annotation.text == "short" and annotation.conversation.id == state["conversation"]


def assets():
    made = api("AssetsApi").assets_create_new_asset(seed=seed_asset())
    state["asset"] = made.id
    read = api("AssetApi").asset_snapshot(made.id, transferables=True)
    assert read.original.reference.fragment.string.raw.startswith("//! Retries.")
    assert read.original.reference.classification.specific == "rs"
    assert read.anchors.iterable[0].points.iterable[0].reference.fullpath.endswith("retry.rs")
    assert made.id in [asset.id for asset in api("AssetsApi").assets_snapshot(transferables=False).iterable]
    assert made.id in [asset.id for asset in api("AssetsApi").assets_identifiers_snapshot().iterable]


def anchors():
    paths = {
        point.reference.fullpath: anchor
        for anchor in api("AnchorsApi").anchors_snapshot(transferables=True).iterable
        for point in anchor.points.iterable
    }
    assert state["asset"] in paths["/home/u/p/src/retry.rs"].assets.indices


def from_asset():
    made = api("ConversationsApi").conversations_create_from_asset(state["asset"])
    read = api("ConversationApi").conversation_get_specific_conversation(made.conversation.id)
    assert read.name == "retry.rs" and state["asset"] in read.assets.indices
    message = api("ConversationMessageApi").message_specific_message_snapshot(
        next(iter(read.messages.indices)), transferables=True
    )
    assert "extractive" in message.fragment.string.raw
    state["from_asset"] = made.conversation.id


def associate():
    one = api("ConversationApi")
    one.conversation_associate_asset(state["conversation"], state["asset"])
    assert state["asset"] in one.conversation_get_specific_conversation(state["conversation"]).assets.indices
    one.conversation_disassociate_asset(state["conversation"], state["asset"])
    assert state["asset"] not in one.conversation_get_specific_conversation(state["conversation"]).assets.indices


def search():
    found = api("ConversationsApi").search_conversations(
        search_input=sdk.SearchInput(
            engines=sdk.SearchEngines(iterable=[sdk.SearchEngine(query="Renamed", full_text=sdk.FullTextSearchOptions())])
        )
    )
    assert [hit.identifier for hit in found.iterable] == [state["conversation"]]


def every_list():
    """What the SDK reads, it has checked against its models."""
    website = api("WebsitesApi").websites_create_new_website(
        seeded_website=sdk.SeededWebsite(url="https://example.org/a", name="A", conversation=state["conversation"])
    )
    for transferables in [True, False]:
        lists = [
            api("ConversationsApi").conversations_snapshot(transferables=transferables),
            api("ConversationMessagesApi").messages_snapshot(transferables=transferables),
            api("AssetsApi").assets_snapshot(transferables=transferables),
            api("AnchorsApi").anchors_snapshot(transferables=transferables),
            api("WebsitesApi").websites_snapshot(transferables=transferables),
            api("AnnotationsApi").annotations_snapshot(),
            api("AssetApi").asset_formats(state["asset"], transferables=transferables),
            api("AssetApi").asset_specific_asset_conversations(state["asset"], transferables=transferables),
            api("ConversationApi").conversation_specific_conversation_messages(
                state["conversation"], transferables=transferables),
            api("AssetsApi").search_assets(query="retries", transferables=transferables),
        ]
        for found in lists:
            assert found.iterable, type(found).__name__
    assert website.id in api("ConversationApi").conversation_get_specific_conversation(
        state["conversation"]).websites.indices
    assert api("WebsiteApi").websites_specific_website_snapshot(website.id).url == "https://example.org/a"
    asset = api("AssetApi").asset_snapshot(state["asset"], transferables=True)
    assert api("FormatApi").format_snapshot(asset.original.id, transferable=True).asset.id == state["asset"]
    anchor = asset.anchors.iterable[0].id
    assert state["asset"] in api("AnchorApi").anchor_specific_anchor_snapshot(anchor, transferables=True).assets.indices
    hits = api("ConversationApi").search_conversation_specific_messages(
        state["conversation"], search_input=sdk.SearchInput(
            engines=sdk.SearchEngines(iterable=[sdk.SearchEngine(query="hello", full_text=sdk.FullTextSearchOptions())])
        )
    )
    assert len(hits.iterable) == 1


def copied():
    """What was taken over from elsewhere (`pieces-lsp import`) is as valid as what was made here."""
    ids = {kind: str(uuid.uuid4()) for kind in ["asset", "anchor", "conversation", "message", "annotation", "point"]}
    bare = {
        "asset": {"original": {"id": str(uuid.uuid4()), "reference": {"fragment": {"string": {"raw": "x"}}}}},
        "anchor": {"points": {"iterable": [{"id": ids["point"], "reference": {"id": ids["point"], "fullpath": "/x"}}]}},
        "conversation": {"name": "Copied", "assets": {"indices": {ids["asset"]: 0}}, "anchors": {"indices": {ids["anchor"]: 0}}},
        "message": {"role": "USER", "conversation": {"id": ids["conversation"]}, "fragment": {"string": {"raw": "x"}}},
        "annotation": {"type": "SUMMARY", "text": "x", "conversation": {"id": ids["conversation"]}},
    }
    objects = [{kind: {"id": ids[kind], **rest}} for kind, rest in bare.items()]
    request = urllib.request.Request(url + "/pieces-lsp/import", json.dumps({"objects": objects}).encode())
    assert json.load(urllib.request.urlopen(request)) == {"outcomes": ["new"] * 5}
    found = api("ConversationApi").conversation_get_specific_conversation(ids["conversation"])
    assert ids["asset"] in found.assets.indices and ids["anchor"] in found.anchors.indices
    assert api("AssetApi").asset_snapshot(ids["asset"]).original.reference.fragment.string.raw == "x"
    assert api("AnchorApi").anchor_specific_anchor_snapshot(ids["anchor"]).points.iterable[0].reference.fullpath == "/x"
    assert api("AnnotationApi").annotation_specific_annotation_snapshot(ids["annotation"]).text == "x"
    assert api("ConversationMessageApi").message_specific_message_snapshot(ids["message"]).fragment.string.raw == "x"
    api("AssetsApi").assets_snapshot(transferables=True)
    api("ConversationsApi").conversations_delete_specific_conversation(ids["conversation"])
    api("AssetsApi").assets_delete_asset(ids["asset"])


def delete():
    api("ConversationsApi").conversations_delete_specific_conversation(state["conversation"])
    try:
        api("ConversationApi").conversation_get_specific_conversation(state["conversation"])
    except sdk.ApiException as error:
        assert error.status == 410, error.status
    else:
        raise AssertionError("still there")
    api("AssetsApi").assets_delete_asset(state["asset"])
    api("ConversationsApi").conversations_delete_specific_conversation(state["from_asset"])


for step in [
    well_known, connect, user, models, create, identifiers_and_snapshot, update, messages,
    annotations, assets, anchors, from_asset, associate, search, every_list, copied, delete,
]:
    check(f"{name} {step.__name__}", step)
finish()
