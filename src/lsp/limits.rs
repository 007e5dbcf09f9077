//! Every deadline and size limit of the language server, each with its reason.

use std::time::Duration;

// The service.

/// Waiting for a connection: discovery finds a running service in milliseconds, beside a silent process in about two
/// seconds, and a person who waits longer wants the error.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Stopping the local service, which writes its last batch to disk.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// Waiting while another task switches the backend: twice what stopping the old one may take.
pub(crate) const SWITCH_TIMEOUT: Duration = Duration::from_secs(6);
/// Waiting for writes in flight when the editor exits. Editors kill the server after two seconds.
pub(crate) const WRITE_GRACE: Duration = Duration::from_millis(1500);
/// Waiting until a new conversation or asset is in the index.
pub(crate) const INDEX_TIMEOUT: Duration = Duration::from_secs(5);
/// Waiting for anchors and assets, which are read after the list of conversations.
pub(crate) const TIES_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for a menu, which is opened again if something is missing.
pub(crate) const MENU_TIES_TIMEOUT: Duration = Duration::from_secs(1);
/// Comparing a text with the assets that were saved from its file; after that it is saved again.
pub(crate) const COMPARE_TIMEOUT: Duration = Duration::from_secs(5);
/// Assets of a file, the newest first, whose texts are compared: each costs a GET.
pub(crate) const MAX_COMPARED: usize = 8;
/// Waiting while another request saves the same text: a POST may take half a minute.
pub(crate) const SAVE_TIMEOUT: Duration = Duration::from_secs(60);
/// Waiting until imported objects, perhaps a whole account, are in the index.
pub(crate) const IMPORT_INDEX_TIMEOUT: Duration = Duration::from_secs(10);
/// Copying a conversation into the trash before it is deleted: tens of MiB, read and written.
pub(crate) const COPY_TIMEOUT: Duration = Duration::from_secs(30);
/// Starting the local service for its trash while Pieces OS is in use.
pub(crate) const TRASH_TIMEOUT: Duration = Duration::from_secs(10);
/// Conversations whose messages are searched at once: the client sends two GETs at a time.
pub(crate) const SEARCHES_AT_ONCE: usize = 2;

// The editor.

/// Requests that the editor can answer immediately.
pub(crate) const EDITOR_TIMEOUT: Duration = Duration::from_secs(2);
/// A refresh of a document of ours: some editors read it again before they respond.
pub(crate) const REFRESH_TIMEOUT: Duration = Duration::from_secs(5);
/// Showing a document, which the editor has to open first. One that does not answer until its own request is
/// answered shows it all the same, and gives that request up after some 10 s.
pub(crate) const SHOW_TIMEOUT: Duration = Duration::from_secs(2);
/// Applying an edit, for which some editors ask the user.
pub(crate) const APPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// A question of a command: the user decides, but the request should end within minutes.
pub(crate) const CONFIRM_TIMEOUT: Duration = Duration::from_secs(300);
/// An offer that no request waits for; it may stay open over lunch.
pub(crate) const OFFER_TIMEOUT: Duration = Duration::from_secs(3600);
/// Two failed creates within this time are more than a coincidence.
pub(crate) const REPEATED_FAILURE: Duration = Duration::from_secs(600);
/// Requests that the editor may leave unanswered. Each holds a task; the oldest is dropped.
pub(crate) const MAX_UNANSWERED: usize = 1_024;

// Answers of models.

/// From a cancel to the result of an ask: time for the service to say how the answer ended. The protocol promises
/// 200 ms.
pub(crate) const CANCEL_GRACE: Duration = Duration::from_millis(150);
/// Words of an answer are batched for this long: a model may write a thousand pieces a second.
pub(crate) const ANSWER_WINDOW: Duration = Duration::from_millis(30);
/// Interval at which the time spent waiting for a model is shown, in whole seconds.
pub(crate) const ANSWER_TICK: Duration = Duration::from_secs(1);

/// Minimum interval between refreshes of open documents while an answer grows: readers cannot follow more.
pub(crate) const ANSWER_REFRESH: Duration = Duration::from_millis(250);
/// Minimum interval between `pieces/didAnswer` for an answer of another window: its text is stored as often.
pub(crate) const ANSWER_NEWS: Duration = Duration::from_millis(500);
/// From the end of an answer until freed memory is returned: by then its document was refreshed for the last time.
pub(crate) const MEMORY_DELAY: Duration = Duration::from_secs(1);

// Latency and delays.

/// A text of up to this many bytes is searched on the loop, in well under a millisecond; a longer one is not.
pub(crate) const SHORT_TEXT: usize = 64 << 10;
/// Concurrent long computations: the editor needs the other cores.
pub(crate) const LONG_WORK_AT_ONCE: usize = 2;

/// A handler that computes longer than this without awaiting delays everything behind it.
pub(crate) const SLOW_HANDLER: Duration = Duration::from_millis(50);
/// Work that ends sooner shows no progress: it would only flash.
pub(crate) const PROGRESS_DELAY: Duration = Duration::from_millis(300);
/// From a change to the refresh of diagnostics, lenses and hints, so that a burst of edits costs one.
pub(crate) const REFRESH_DELAY: Duration = Duration::from_millis(200);
/// The first change is sent at once; those that follow within this time are batched.
pub(crate) const LIVE_WINDOW: Duration = Duration::from_millis(50);
/// A hover waits this long for messages and is shown without them otherwise.
pub(crate) const HOVER_TIMEOUT: Duration = Duration::from_millis(250);
/// A conversation's document waits this long for the names of its assets.
pub(crate) const ASSET_NAMES_TIMEOUT: Duration = Duration::from_millis(500);
/// Waiting while another task fetches names; after that, the names are fetched the next time.
pub(crate) const ASSET_NAMES_TURN: Duration = Duration::from_secs(5);
/// A menu waits this long for the name of an asset and says "this snippet" otherwise.
pub(crate) const MENU_NAMES_TIMEOUT: Duration = Duration::from_millis(250);

/// From a change below the marker of a talk file until the draft is stored, so that it survives a crash.
pub(crate) const DRAFT_DELAY: Duration = Duration::from_millis(500);
/// An edit of a talk file, which the editor applies between two keystrokes.
pub(crate) const TALK_EDIT_TIMEOUT: Duration = Duration::from_secs(10);
/// The next question waits this long for the last edit of the previous answer: edits are two seconds apart.
pub(crate) const LAST_EDIT_TIMEOUT: Duration = Duration::from_secs(6);
/// Interval at which a talk file is checked while an answer is written.
pub(crate) const TALK_LOOK: Duration = Duration::from_millis(100);
/// Until a talk file is looked at again of which it cannot be told yet whether it shows everything: the file of a new talk
/// learns its conversation a moment after the last change that is heard of.
pub(crate) const TALK_CATCH_UP: Duration = Duration::from_millis(500);
/// How often that is done after a change.
pub(crate) const TALK_CATCH_UPS: u32 = 4;
/// Messages from the end of a conversation that are looked for in a talk file; each costs a search of all its text.
pub(crate) const TALK_MESSAGES: usize = 16;

// Files.

/// Resolving a path: a dead network mount never answers.
pub(crate) const REAL_PATH_TIMEOUT: Duration = Duration::from_millis(250);
/// Paths that are resolved at once: on a dead mount each blocks its thread forever.
pub(crate) const REAL_PATHS_AT_ONCE: usize = 4;
/// How long a directory counts as dead after a path in it was not resolved in time.
pub(crate) const SLOW_DIRECTORY: Duration = Duration::from_secs(60);
/// Dead directories that are remembered; the list is cleared when it is full.
pub(crate) const MAX_SLOW_DIRECTORIES: usize = 64;
/// Reading a document that the editor has not opened.
pub(crate) const READ_FILE_TIMEOUT: Duration = Duration::from_secs(5);
/// Text that is saved as an asset, in bytes. A larger one is rarely selected on purpose.
pub(crate) const MAX_SAVED_BYTES: usize = 8 << 20;
/// Anchors of files of the same name whose paths are resolved: everybody has a `mod.rs`.
pub(crate) const MAX_NAMESAKES: usize = 32;
/// A private copy that an answer names, which waits for its messages.
pub(crate) const NAMED_COPY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a conversation that was opened as a file stays on disk at least.
pub(crate) const OPENED_FILE_AGE: Duration = Duration::from_secs(86_400);

// Caches.

/// Conversations whose messages are cached: more than a user has open, few enough if all are large.
pub(crate) const MAX_TRANSCRIPTS: usize = 32;
/// Names of assets that are remembered, at about 100 bytes each.
pub(crate) const MAX_ASSET_NAMES: usize = 4096;
/// Documents whose URI an editor writes in an unusual form, at about 200 bytes each.
pub(crate) const MAX_SPELLINGS: usize = 4096;

// Items of a response.

/// Conversations that `list` returns unless asked for more or fewer.
pub(crate) const DEFAULT_LISTED: usize = 100;
/// Conversations that `search` returns unless asked otherwise; each costs up to two GETs.
pub(crate) const DEFAULT_SEARCH_HITS: usize = 20;
/// Conversations that `search` returns at most.
pub(crate) const MAX_SEARCH_HITS: usize = 100;
/// Workspace symbols: encoding more takes longer than finding them.
pub(crate) const MAX_SYMBOLS: usize = 128;
/// Workspace symbols in a list with others: a few, or they hide the functions of the project.
pub(crate) const MAX_SYMBOLS_BESIDE: usize = 5;
/// Workspace symbols that lead to private copies, all of which are written.
pub(crate) const MAX_COPIED_SYMBOLS: usize = 20;
/// Completion items: a longer list is narrowed by typing.
pub(crate) const MAX_COMPLETIONS: usize = 50;
/// Code actions in one response: a menu must fit on a screen.
pub(crate) const MAX_ACTIONS: usize = 20;
/// Conversations in a selection for which actions are offered.
pub(crate) const MAX_SELECTED: usize = 5;
/// Lines of a selection that are searched for links: a longer selection is about its text.
pub(crate) const MAX_MENU_LINES: usize = 10_000;
/// Lines above and below a comment with a question that are sent with it.
pub(crate) const COMMENT_CONTEXT_LINES: usize = 20;
/// Bytes of a file that are read to check whether lines in it have changed.
pub(crate) const MAX_COMPARED_FILE: u64 = 4 << 20;
/// Lines of a comment that counts as a question.
pub(crate) const MAX_COMMENT_LINES: usize = 20;
/// Broken links in a selection that get fixes, each of which searches all names: with a removal and
/// [`MAX_REPLACEMENTS`] each, they fill a menu.
pub(crate) const MAX_FIXED_LINKS: usize = 5;
/// Diagnostics of one document: nobody reads more, and all are sent again when it changes.
pub(crate) const MAX_DIAGNOSTICS: usize = 1_000;
/// Links, hints, references or symbols in one response, at about 200 bytes each: more slow editors down.
pub(crate) const MAX_PLACES: usize = 10_000;
/// Conversations that a question offers to choose from.
pub(crate) const MAX_CHOICES: usize = 5;
/// Conversations that a broken link may be pointed to.
pub(crate) const MAX_REPLACEMENTS: usize = 3;
/// Files that a hover names.
pub(crate) const MAX_HOVER_FILES: usize = 3;

// Characters: as much as the place shows on one line.

/// A selection that may be one link: an id with a scheme, a name and blanks around it.
pub(crate) const MAX_REFERENCE_CHARS: usize = 1000;

/// A name in the URI of an asset, in bytes: file systems allow no longer ones.
pub(crate) const MAX_URI_NAME_BYTES: usize = 255;

/// A name that `rename` accepts.
pub(crate) const MAX_NAME_CHARS: usize = 1000;
/// A name in a list of symbols.
pub(crate) const SYMBOL_CHARS: usize = 200;
/// A name, or a path, in a hover.
pub(crate) const HOVER_CHARS: usize = 120;
/// A role in a hover: a service may send any.
pub(crate) const ROLE_CHARS: usize = 40;
/// An excerpt of a message, in a hover or a search result.
pub(crate) const EXCERPT_CHARS: usize = 160;
/// The beginning of a message in the outline of a conversation.
pub(crate) const SAID_CHARS: usize = 60;
/// A name in a completion item.
pub(crate) const COMPLETION_CHARS: usize = 100;
/// A completion query: longer text before the cursor is not a name.
pub(crate) const QUERY_CHARS: usize = 100;
/// A name in a question or a tooltip.
pub(crate) const QUESTION_CHARS: usize = 80;
/// A name in the title of a code action.
pub(crate) const ACTION_CHARS: usize = 60;
/// A name in an inlay hint.
pub(crate) const HINT_CHARS: usize = 40;
/// The name of an unknown setting or method in a message or the log: both are untrusted.
pub(crate) const FOREIGN_NAME_CHARS: usize = 64;
/// A message of ours that quotes untrusted text.
pub(crate) const MESSAGE_CHARS: usize = 500;
