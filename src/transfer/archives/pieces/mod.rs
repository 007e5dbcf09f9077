//! The archive that the Pieces exporter writes: a directory with one JSON file per record, or a zip of it.
//!
//! `manifest` describes it, `files` reads its records, and `join` joins the records into objects. InkVault's database has
//! the same records, and is joined in the same way.

mod conversations;
mod files;
pub(super) mod join;
mod manifest;
mod parts;
pub(super) mod record;
mod state;

use std::path::Path;

use super::found::Found;
use super::out::{Out, Stop, Yield};
use super::place::{Place, What, sentence};
use super::tree::Tree;
use super::{Look, Reader};
use files::Files;
use join::{Join, Taken};
use manifest::Manifest;
use record::{Records as _, Type};
use state::Totals;

/// Recognises an archive, even an unfinished one; its `vault` directory stands for the whole archive.
///
/// # Errors
/// It has nothing that can be imported, and why.
pub(super) fn look(place: &mut Place) -> Look {
    if place.path.file_name().is_some_and(|name| name == "vault")
        && place.tree().is_some_and(|tree| !is_archive(tree))
        && let Some(parent) = place.path.parent().map(Path::to_owned)
        && let Ok(mut parent_tree) = Tree::dir(&parent)
        && is_archive(&mut parent_tree)
    {
        place.path = parent;
        place.what = What::Tree(parent_tree);
    }
    let path = place.path.clone();
    let Some(tree) = place.tree() else {
        return Ok(None);
    };
    if !is_archive(tree) {
        return match useless(tree) {
            Some(why) => Err(sentence(&path, why)),
            None => Ok(None),
        };
    }
    let date = place.date();
    let What::Tree(mut tree) = place.take() else {
        return Ok(None);
    };
    let manifest = Manifest::read(&mut tree);
    let base = match &manifest {
        Some(manifest) => manifest.base(&mut tree),
        None => manifest::base(&mut tree, "data"),
    };
    let named = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with(".partial"));
    let is_partial = named || manifest.as_ref().is_none_or(Manifest::is_unfinished);
    let totals = Totals::read(&mut tree, &place.pulse);
    Ok(Some(Box::new(Archive {
        date: manifest.as_ref().and_then(Manifest::date).or(date),
        files: Files::list(tree, base),
        manifest,
        totals,
        is_partial,
        path: path.display().to_string(),
    })))
}

struct Archive {
    path: String,
    date: Option<String>,
    files: Files,
    manifest: Option<Manifest>,
    totals: Option<Totals>,
    is_partial: bool,
}

impl Reader for Archive {
    fn found(&self) -> Found {
        let what = match self.is_partial {
            true => "an unfinished Pieces archive",
            false => "a Pieces archive",
        };
        let mut found = Found::new(what).of(self.date.clone());
        for (kind, noun) in [
            (Type::Conversation, "conversation"),
            (Type::Message, "message"),
            (Type::Asset, "asset"),
        ] {
            let count = self.files.count(kind) as u64;
            if count > 0 || kind == Type::Conversation {
                found = found.with(count, noun);
            }
        }
        found
            .notes
            .extend(self.manifest.as_ref().and_then(Manifest::origin));
        found
            .notes
            .extend(self.manifest.as_ref().and_then(Manifest::unknown_format));
        found
    }

    fn read(&mut self, out: &mut Out) -> Yield {
        let mut join = Join::new(&mut self.files, out);
        let taken = join.run()?;
        let (redacted, missing) = (join.redacted, join.missing);
        self.files.report_skipped(out);
        match &self.totals {
            Some(totals) => totals.tell(out)?,
            None => state::tell(&missing, &redacted, out)?,
        }
        if taken != Taken::Conversations {
            let why = self.without_conversations();
            let also = match taken {
                Taken::Assets => " Its assets were imported.",
                _ => "",
            };
            return Err(Stop::Because(format!(
                "This archive has no conversations: {why}.{also} \
                 If Pieces OS is still installed, start it and run `pieces-lsp import`."
            )));
        }
        self.files.report_closed(out)?;
        match self.is_partial {
            false => Ok(()),
            true => Err(Stop::Because(format!(
                "{} is unfinished: the objects in it were imported; look for a finished copy.",
                self.path
            ))),
        }
    }
}

impl Archive {
    /// Why there are none, as far as it is known.
    fn without_conversations(&mut self) -> String {
        if let Some((folder, why)) = self.files.closed() {
            return format!("its folder {folder} cannot be read, because {why}");
        }
        let manifest = self.manifest.as_ref();
        if let Some(why) = manifest.and_then(Manifest::why_left_out) {
            return why;
        }
        if !self.files.has_base() {
            return "its folder data or raw is missing, and Markdown alone does not say who wrote what; \
                    look for a whole copy"
                .to_owned();
        }
        match manifest.map(Manifest::conversations) {
            None => "it is unfinished, and the exporter had not reached them".to_owned(),
            Some(0) => "the exporter found none".to_owned(),
            Some(many) => format!(
                "the files of the {many} that the exporter counted are missing; look for a whole copy"
            ),
        }
    }
}

fn is_archive(tree: &mut Tree) -> bool {
    Manifest::read(tree).is_some()
        || ["data", "raw"].into_iter().any(|base| {
            let folders = Type::ALL.map(|kind| format!("{base}/{}", kind.folder()));
            tree.has_folder(base) && folders.iter().any(|folder| tree.has_folder(folder))
        })
}

/// Why other output of the exporter cannot be imported.
fn useless(tree: &mut Tree) -> Option<&'static str> {
    let mut has = |name: &str| tree.has_folder(name);
    if has("private-work") && has("private-keys") {
        return Some(
            "is an encrypted intermediate file of the Pieces exporter; run `pieces-export resume` and name the archive that it makes",
        );
    }
    let pages = ["conversations", "messages", "records", "days"];
    let is_markdown = pages.iter().any(|page| has(&format!("markdown/{page}")));
    is_markdown.then_some(
        "has only Markdown: the JSON in data/ or raw/ is missing, and the Markdown does not say who wrote what",
    )
}
