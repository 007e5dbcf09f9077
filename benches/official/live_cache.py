"""The live cache of pieces_os_client: says when it is complete, and which conversation changed.

Usage: live_cache.py PORT
"""

import sys
import threading

from pieces_os_client.wrapper import PiecesClient
from pieces_os_client.wrapper.streamed_identifiers.conversations_snapshot import ConversationsSnapshot

# The host is fixed, and the scan of ports is left out.
PiecesClient._port_scanning = staticmethod(lambda: sys.argv[1])
client = PiecesClient()
# `wait_for_cache()` waits for assets, anchors and ranges too: five seconds where there are none.
ConversationsSnapshot._initialized.wait()
held = sum(conversation is not None for conversation in ConversationsSnapshot.identifiers_snapshot.values())
ConversationsSnapshot.on_update_list.append(lambda conversation: print("changed", conversation.id, flush=True))
print("complete", held, flush=True)
threading.Event().wait()
