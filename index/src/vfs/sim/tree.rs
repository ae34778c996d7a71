//! Folders and files, each as a process sees it, as it is on disk, and with the changes between.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Where a folder or file is in [`Tree::nodes`]; names lead to it.
pub(super) type Ino = usize;

type Names = BTreeMap<String, Ino>;

#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// The first is the root. Removed ones stay: an open file outlives its name.
    pub(super) nodes: Vec<Node>,
    /// Changes of names so far.
    renames: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Folder(Folder),
    File(File),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Folder {
    seen: Names,
    pub(super) on_disk: Names,
    pub(super) pending: Vec<NameChange>,
}

/// One name that leads elsewhere, or nowhere, from now on. The two halves of a rename have the same number.
#[derive(Debug, Clone)]
pub(super) struct NameChange {
    pub(super) number: u64,
    name: String,
    to: Option<Ino>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct File {
    seen: Vec<u8>,
    pub(super) on_disk: Vec<u8>,
    pub(super) pending: Vec<Pending>,
}

#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) change: Change,
    /// A sync failed to write it, and later ones will not try.
    forgotten: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

impl Change {
    pub(super) fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Change::Write { at, bytes } => {
                file.resize(file.len().max(at + bytes.len()), 0);
                file[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Change::Cut(len) => file.truncate(*len),
        }
    }
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut Names) {
        match self.to {
            Some(ino) => drop(names.insert(self.name.clone(), ino)),
            None => drop(names.remove(&self.name)),
        }
    }
}

impl Folder {
    /// Makes `names` what is on disk and what is seen.
    pub(super) fn settle(&mut self, names: Names) {
        *self = Folder { seen: names.clone(), on_disk: names, pending: Vec::new() };
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    /// Puts change `number` on disk, and with it whatever happened to the same name before.
    fn sync_change(&mut self, number: u64) {
        let Some(at) = self.pending.iter().position(|change| change.number == number) else { return };
        let change = self.pending.remove(at);
        let earlier = self.pending.drain(..at).collect::<Vec<_>>();
        let others = earlier.into_iter().filter(|other| other.name != change.name);
        self.pending = others.chain(self.pending.clone()).collect();
        change.apply(&mut self.on_disk);
    }
}

impl File {
    /// A file that is on disk.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        File { seen: bytes.clone(), on_disk: bytes, pending: Vec::new() }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.pending.push(Pending { change, forgotten: false });
    }
}

impl Default for Tree {
    fn default() -> Self {
        Tree { nodes: vec![Node::Folder(Folder::default())], renames: 0 }
    }
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file or folder", path.display()))
}

impl Tree {
    fn names(path: &Path) -> impl Iterator<Item = String> {
        path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
    }

    fn find(&self, path: &Path) -> Option<Ino> {
        Self::names(path).try_fold(0, |ino, name| match &self.nodes[ino] {
            Node::Folder(folder) => folder.seen.get(&name).copied(),
            Node::File(_) => None,
        })
    }

    fn folder(&mut self, path: &Path) -> io::Result<&mut Folder> {
        let ino = self.find(path).ok_or_else(|| missing(path))?;
        match &mut self.nodes[ino] {
            Node::Folder(folder) => Ok(folder),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// The file at `path`.
    pub(super) fn file(&self, path: &Path) -> io::Result<Ino> {
        let ino = self.find(path).ok_or_else(|| missing(path))?;
        match self.nodes[ino] {
            Node::File(_) => Ok(ino),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn open_file(&mut self, ino: Ino) -> &mut File {
        match &mut self.nodes[ino] {
            Node::File(file) => file,
            Node::Folder(_) => unreachable!("folders are not opened"),
        }
    }

    fn split(path: &Path) -> io::Result<(&Path, String)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
        Ok((path.parent().unwrap_or(Path::new("")), name))
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<Ino> {
        let (parent, name) = Self::split(path)?;
        let ino = self.nodes.len();
        let number = self.number();
        self.folder(parent)?.change(NameChange { number, name, to: Some(ino) });
        self.nodes.push(node);
        Ok(ino)
    }

    fn number(&mut self) -> u64 {
        self.renames += 1;
        self.renames
    }

    pub(super) fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        let mut path = PathBuf::new();
        for name in Self::names(dir) {
            path.push(name);
            if self.find(&path).is_none() {
                self.add(&path, Node::Folder(Folder::default()))?;
            }
        }
        self.folder(dir).map(|_| ())
    }

    pub(super) fn list(&mut self, dir: &Path) -> io::Result<Vec<String>> {
        Ok(self.folder(dir)?.seen.keys().cloned().collect())
    }

    /// An empty file at `path`: the one that is there, cut to nothing, or a new one.
    pub(super) fn create(&mut self, path: &Path) -> io::Result<Ino> {
        match self.file(path) {
            Ok(ino) => {
                self.open_file(ino).change(Change::Cut(0));
                Ok(ino)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.add(path, Node::File(File::default())),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write(&mut self, ino: Ino, bytes: &[u8]) {
        let file = self.open_file(ino);
        let at = file.seen.len();
        file.change(Change::Write { at, bytes: bytes.to_vec() });
    }

    pub(super) fn cut(&mut self, ino: Ino, len: u64) -> io::Result<()> {
        let file = self.open_file(ino);
        if len > file.seen.len() as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        file.change(Change::Cut(len as usize));
        Ok(())
    }

    pub(super) fn sync(&mut self, ino: Ino) {
        let file = self.open_file(ino);
        for pending in file.pending.iter().filter(|pending| !pending.forgotten) {
            pending.change.apply(&mut file.on_disk);
        }
        file.pending.retain(|pending| pending.forgotten);
    }

    /// A sync failed: the system takes what was pending for written.
    pub(super) fn forget(&mut self, ino: Ino) {
        self.open_file(ino).pending.iter_mut().for_each(|pending| pending.forgotten = true);
    }

    pub(super) fn bytes(&self, ino: Ino) -> &[u8] {
        match &self.nodes[ino] {
            Node::File(file) => &file.seen,
            Node::Folder(_) => &[],
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let ino = self.find(from).ok_or_else(|| missing(from))?;
        let ((old, old_name), (new, new_name)) = (Self::split(from)?, Self::split(to)?);
        self.folder(new)?;
        let number = self.number();
        self.folder(old)?.change(NameChange { number, name: old_name, to: None });
        self.folder(new)?.change(NameChange { number, name: new_name, to: Some(ino) });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.file(path)?;
        self.unlink(path)
    }

    pub(super) fn remove_dir(&mut self, dir: &Path) -> io::Result<()> {
        for name in self.list(dir)? {
            let path = dir.join(name);
            if self.file(&path).is_ok() { self.unlink(&path)? } else { self.remove_dir(&path)? }
        }
        self.unlink(dir)
    }

    fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = Self::split(path)?;
        let number = self.number();
        self.folder(parent)?.change(NameChange { number, name, to: None });
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        let numbers: Vec<u64> = self.folder(dir)?.pending.iter().map(|change| change.number).collect();
        for number in numbers {
            // Both halves of a rename, and both where they are in one folder.
            for node in &mut self.nodes {
                if let Node::Folder(folder) = node {
                    folder.sync_change(number);
                    folder.sync_change(number);
                }
            }
        }
        Ok(())
    }

    pub(super) fn used(&self) -> u64 {
        self.files().iter().filter_map(|path| self.find(path)).map(|ino| self.bytes(ino).len() as u64).sum()
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut open = vec![(PathBuf::new(), 0)];
        while let Some((path, ino)) = open.pop() {
            match &self.nodes[ino] {
                Node::Folder(folder) => open.extend(folder.seen.iter().map(|(name, &ino)| (path.join(name), ino))),
                Node::File(_) => files.push(path),
            }
        }
        files.sort();
        files
    }

    pub(super) fn put(&mut self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let ino = self.file(path)?;
        *self.open_file(ino) = File::of(bytes);
        Ok(())
    }
}
