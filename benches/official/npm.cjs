// The list of @pieces.app/pieces-os-client: says when it is there. Usage: npm.cjs PORT
//
// There is nothing to follow changes with: `conversationsStreamIdentifiers()` is an ordinary request, which fails.
"use strict";
const { Configuration, ConversationsApi } = require("@pieces.app/pieces-os-client");

const api = new ConversationsApi(new Configuration({ basePath: `http://127.0.0.1:${process.argv[2]}` }));
api.conversationsSnapshot({ transferables: false }).then((held) => {
  console.log("complete", held.iterable.length);
  // Holds the list, and the process open.
  setInterval(() => held, 1 << 30);
});
