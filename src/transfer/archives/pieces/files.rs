//! Records in files: `<hash>.json` with one each, and `group-<number>.jsonl` with one per line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};

use super::super::lines::{Line, Lines};
use super::super::out::{Out, Yield};
use super::super::tree::{Entry, Tree};
use super::record::{Bad, MAX_RECORD, Record, Records, Type, file_name};

/// The records of an archive.
pub(super) struct Files {
    tree: Tree,
    /// `data` or `raw`.
    base: String,
    places: BTreeMap<Type, Vec<Place>>,
    /// Counts of files that are not records, by description.
    skipped: BTreeMap<&'static str, u64>,
    /// Names of records that are no regular files.
    special: BTreeSet<(Type, [u8; 32])>,
    /// Folders of records that are there and cannot be listed, and why.
    closed: BTreeMap<Type, String>,
    /// The group file that was read last.
    open: Option<(String, File)>,
}

/// Where a record is.
enum Place {
    /// In a file of its own, with this name.
    File([u8; 32]),
    /// In a line of a group, at this offset.
    Line(u32, u64),
    /// In a line of a group that is too long, or a group that cannot be read.
    Unreadable(u32, &'static str),
}

impl Files {
    /// Lists the records below `base`.
    pub(super) fn list(tree: Tree, base: String) -> Self {
        let mut files = Self {
            tree,
            base,
            places: BTreeMap::new(),
            skipped: BTreeMap::new(),
            special: BTreeSet::new(),
            closed: BTreeMap::new(),
            open: None,
        };
        for of in Type::ALL {
            files.list_type(of);
        }
        files
    }

    fn list_type(&mut self, of: Type) {
        let folder = self.folder(of);
        let mut names: Vec<[u8; 32]> = Vec::new();
        let mut groups: Vec<u32> = Vec::new();
        let mut skip = |what| *self.skipped.entry(what).or_default() += 1;
        let special = &mut self.special;
        let listed = self.tree.each(&folder, &mut |name, entry| {
            let record = record_name(name);
            match (entry, record, group_number(name)) {
                (Entry::File, Some(record), _) => return names.push(record),
                (Entry::File, _, Some(group)) => return groups.push(group),
                (Entry::File, ..) if name.starts_with('.') => {}
                (Entry::File, ..) => skip("file without a record"),
                (Entry::Folder, ..) => skip("folder without a record"),
                (Entry::Other, ..) => skip("special file"),
            }
            special.extend(record.map(|record| (of, record)));
        });
        if let Err(error) = listed {
            let why = match error.kind() {
                io::ErrorKind::NotADirectory => {
                    "it is a link or no directory, which is not followed".to_owned()
                }
                _ => format!("it cannot be listed ({error})"),
            };
            self.closed.insert(of, why);
        }
        names.sort_unstable();
        groups.sort_unstable();
        let mut places: Vec<_> = names.into_iter().map(Place::File).collect();
        for group in groups {
            self.list_group(of, group, &mut places);
        }
        self.places.insert(of, places);
    }

    fn list_group(&mut self, of: Type, group: u32, places: &mut Vec<Place>) {
        let Ok(file) = self.tree.seekable(&self.group_path(of, group)) else {
            let why = match self.tree.is_zip() {
                true => "it cannot be read in a zip; unpack it and name the directory",
                false => "it cannot be read",
            };
            places.push(Place::Unreadable(group, why));
            return;
        };
        let mut lines = Lines::new(BufReader::with_capacity(256 << 10, file), MAX_RECORD);
        loop {
            let offset = lines.position;
            match lines.next() {
                Ok(Some(Line::Whole(line))) if line.trim_ascii().is_empty() => {}
                Ok(Some(Line::Whole(_))) => places.push(Place::Line(group, offset)),
                Ok(Some(Line::TooLong)) => {
                    places.push(Place::Unreadable(
                        group,
                        "one of its lines is larger than 10 MiB",
                    ));
                }
                Ok(None) => return,
                Err(_) => return places.push(Place::Unreadable(group, "it cannot be read")),
            }
        }
    }

    fn folder(&self, of: Type) -> String {
        format!("{}/{}", self.base, of.folder())
    }

    fn group_path(&self, of: Type, group: u32) -> String {
        format!("{}/group-{group:06}.jsonl", self.folder(of))
    }

    fn read_line(&mut self, path: &str, offset: u64) -> io::Result<Vec<u8>> {
        if self.open.as_ref().is_none_or(|(open, _)| open != path) {
            self.open = Some((path.to_owned(), self.tree.seekable(path)?));
        }
        let Some((_, file)) = &mut self.open else {
            return Ok(Vec::new());
        };
        file.seek(SeekFrom::Start(offset))?;
        let mut lines = Lines::new(BufReader::new(file.take(MAX_RECORD as u64)), MAX_RECORD);
        match lines.next()? {
            Some(Line::Whole(line)) => Ok(line.to_vec()),
            _ => Ok(Vec::new()),
        }
    }

    /// Reports the files that are not records.
    pub(super) fn report_skipped(&mut self, out: &mut Out) {
        for (what, count) in std::mem::take(&mut self.skipped) {
            out.left_out(what, count);
        }
    }

    /// Tells which folders could not be listed.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub(super) fn report_closed(&self, out: &Out) -> Yield {
        for (of, why) in &self.closed {
            out.unreadable(of.kind(), self.folder(*of), why)?;
        }
        Ok(())
    }

    /// The folder that has the conversations or messages but cannot be listed, and why.
    pub(super) fn closed(&self) -> Option<(String, &str)> {
        let of = [Type::Conversation, Type::Message];
        let closed = of.iter().find_map(|of| self.closed.get_key_value(of));
        closed.map(|(of, why)| (self.folder(*of), &**why))
    }

    /// Whether there is a folder for the records, not a link to one.
    pub(super) fn has_base(&mut self) -> bool {
        self.tree.has_folder(&self.base)
    }
}

impl Records for Files {
    fn count(&self, of: Type) -> usize {
        self.places.get(&of).map_or(0, Vec::len)
    }

    fn may_have(&self, of: Type, id: &str) -> bool {
        let name = file_name(of, id);
        let places = self.places.get(&of).map_or(&[][..], Vec::as_slice);
        // Files stand before the lines of groups, in order.
        let at = places.partition_point(|place| matches!(place, Place::File(one) if *one < name));
        self.closed.contains_key(&of)
            || self.special.contains(&(of, name))
            || matches!(places.get(at), Some(Place::File(one)) if *one == name)
    }

    fn read(&mut self, of: Type, number: usize) -> Result<Record, Bad> {
        let place = self.places.get(&of).and_then(|places| places.get(number));
        match place {
            None => Err(Bad::new(of.folder(), "it is not there any more")),
            Some(&Place::Unreadable(group, why)) => Err(Bad::new(self.group_path(of, group), why)),
            Some(&Place::Line(group, offset)) => {
                let path = self.group_path(of, group);
                let place = format!("{path}, at byte {offset}");
                let line = self.read_line(&path, offset);
                let line = line.map_err(|error| Bad::new(&*place, reason(&error)))?;
                let (record, _) = Record::parse(of, &line).map_err(|why| Bad::new(place, why))?;
                Ok(record)
            }
            Some(&Place::File(name)) => {
                let path = format!("{}/{}.json", self.folder(of), hex(&name));
                let text = self.tree.read(&path, MAX_RECORD);
                let text = text.map_err(|error| Bad::new(&*path, reason(&error)))?;
                let (record, id) = Record::parse(of, &text).map_err(|why| Bad::new(&*path, why))?;
                match file_name(of, &id) == name {
                    true => Ok(record),
                    false => Err(Bad::new(path, "its file name does not match its id")),
                }
            }
        }
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::FileTooLarge => format!("it is larger than {} MiB", MAX_RECORD >> 20),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => error.to_string(),
        _ => format!("it cannot be read ({error})"),
    }
}

fn record_name(name: &str) -> Option<[u8; 32]> {
    let hex = name.strip_suffix(".json")?.as_bytes();
    let mut bytes = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(hex.chunks(2)) {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(bytes)
}

fn group_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("group-")?.strip_suffix(".jsonl")?;
    let whole = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| whole)
}

fn hex(name: &[u8; 32]) -> String {
    name.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_are_records() {
        let name = "0123456789abcdef".repeat(4);
        let record = record_name(&format!("{name}.json")).unwrap();
        assert_eq!(hex(&record), name);
        for odd in [
            "",
            ".json",
            "x.json",
            &name,
            &format!("{}.json", name.to_uppercase()),
        ] {
            assert_eq!(record_name(odd), None, "{odd}");
        }
        assert_eq!(group_number("group-000012.jsonl"), Some(12));
        for odd in [
            "group-12.jsonl",
            "group-+00012.jsonl",
            "group-000012.json",
            "group-0000012.jsonl",
        ] {
            assert_eq!(group_number(odd), None, "{odd}");
        }
    }
}
