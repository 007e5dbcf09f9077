// @pieces.app/pieces-os-client against a service. Usage: node npm.cjs NAME URL
"use strict";
const [name, basePath] = process.argv.slice(2);
const Pieces = require("@pieces.app/pieces-os-client");
const assert = require("node:assert");

const configuration = new Pieces.Configuration({ basePath });
const api = (group) => new Pieces[group](configuration);
let failed = false;
let made, asset;

const checks = {
  async health() {
    const health = await api("WellKnownApi").getWellKnownHealth();
    assert.match(health, /^ok:/);
  },
  async connect() {
    const application = { name: "OPEN_SOURCE", version: "0.0.1", platform: "LINUX" };
    const context = await api("ConnectorApi").connect({ seededConnectorConnection: { application } });
    assert.ok(context.application.id);
  },
  async create() {
    made = await api("ConversationsApi").conversationsCreateSpecificConversation({
      seededConversation: { type: "COPILOT", name: "From npm" },
    });
    assert.equal(made.name, "From npm");
    assert.ok(made.updated.value instanceof Date);
  },
  async snapshots() {
    const all = await api("ConversationsApi").conversationsSnapshot({ transferables: false });
    assert.ok(all.iterable.some((c) => c.id === made.id));
    const ids = await api("ConversationsApi").conversationsIdentifiersSnapshot();
    assert.ok(ids.iterable.some((c) => c.id === made.id));
  },
  async rename() {
    const fresh = await api("ConversationApi").conversationGetSpecificConversation({ conversation: made.id });
    const written = await api("ConversationApi").conversationUpdate({
      transferables: false,
      conversation: { ...fresh, name: "Renamed" },
    });
    assert.equal(written.name, "Renamed");
  },
  async fromAsset() {
    asset = await api("AssetsApi").assetsCreateNewAsset({
      seed: {
        type: "SEEDED_ASSET",
        asset: {
          application: {
            id: made.id, name: "OPEN_SOURCE", version: "0.0.1", platform: "LINUX", onboarded: false, privacy: "OPEN",
          },
          metadata: { name: "a.py" },
          format: { fragment: { string: { raw: "def a(): pass\n" }, metadata: { ext: "py" } } },
        },
      },
    });
    const { conversation } = await api("ConversationsApi").conversationsCreateFromAsset({ asset: asset.id });
    const read = await api("ConversationApi").conversationGetSpecificConversation({ conversation: conversation.id });
    assert.equal(read.name, "a.py");
    await api("ConversationsApi").conversationsDeleteSpecificConversation({ conversation: conversation.id });
  },
  async deletes() {
    await api("ConversationsApi").conversationsDeleteSpecificConversation({ conversation: made.id });
    await api("AssetsApi").assetsDeleteAsset({ asset: asset.id });
    await assert.rejects(api("ConversationApi").conversationGetSpecificConversation({ conversation: made.id }), (error) => {
      assert.equal(error.response.status, 410);
      return true;
    });
  },
};

(async () => {
  for (const [step, run] of Object.entries(checks)) {
    try {
      await run();
      console.log(`ok ${name} ${step}`);
    } catch (error) {
      failed = true;
      console.log(`FAIL ${name} ${step}: ${String(error && error.message).replace(/\s+/g, " ").slice(0, 300)}`);
    }
  }
  process.exit(failed ? 1 : 0);
})();
