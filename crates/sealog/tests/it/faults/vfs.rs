//! A disk that fails when it is told to: a layer over SQLite's own files.
//!
//! It is the default for the whole test binary and passes everything on, except in a folder that
//! [`Disk::watch`] put under watch. There it counts writes and fsyncs, can let one of them fail, and
//! knows what would be left of each file if the power went: what was written before its last fsync.

#![allow(unsafe_code, reason = "SQLite's files are an interface in C; this module alone speaks it")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sealog::rusqlite::ffi::{
    self, SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE, SQLITE_OK, sqlite3_file, sqlite3_int64,
    sqlite3_io_methods, sqlite3_vfs,
};

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Write,
    Sync,
}

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing of it happened.
    Failed,
    /// It happened, and was reported as failed.
    FailedButStored,
    /// Half of the bytes were written.
    Torn,
    /// There is no room, now and until the disk is mended.
    Full,
}

/// The files of a folder as they are, and as a loss of power would leave them.
#[derive(Debug)]
pub(super) struct Crash {
    pub(super) as_written: BTreeMap<String, Vec<u8>>,
    pub(super) as_synced: BTreeMap<String, Vec<u8>>,
    /// The key file, which is no file of SQLite's.
    pub(super) key: Vec<u8>,
    /// What [`Disk::acknowledge`] had counted.
    pub(super) acknowledged: usize,
}

#[derive(Default)]
struct State {
    /// The fault to come: after so many steps of its kind.
    fault: Option<(Step, Form, u64)>,
    /// What failed.
    hit: Option<Crash>,
    /// Steps since the folder is watched: writes and fsyncs.
    steps: [u64; 2],
    files: BTreeMap<String, Vec<u8>>,
    synced: BTreeMap<String, Vec<u8>>,
    /// Files that were synced since the folder is watched.
    syncs: BTreeSet<String>,
    acknowledged: usize,
    /// Files have no shared memory, as on a network disk.
    remote: bool,
}

/// A folder under watch.
pub(super) struct Disk {
    folder: PathBuf,
    state: Mutex<State>,
}

impl Disk {
    /// Watches the files that are opened in `folder` from now on; their contents so far count as synced.
    pub(super) fn watch(folder: &Path) -> Arc<Self> {
        register();
        let folder = folder.canonicalize().expect("the folder is there");
        let disk = Arc::new(Self { folder: folder.clone(), state: Mutex::default() });
        for entry in std::fs::read_dir(folder).expect("the folder lists") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a plain name");
            if ["audit.db", "audit.db-wal"].contains(&&*name) {
                let bytes = std::fs::read(entry.path()).expect("a file reads");
                disk.state().synced.insert(name.clone(), bytes.clone());
                disk.state().files.insert(name, bytes);
            }
        }
        watched().push(disk.clone());
        disk
    }

    /// Gives files that are opened from now on no shared memory, as a network disk would.
    pub(super) fn go_remote(&self) {
        self.state().remote = true;
    }

    /// What a loss of power now would leave of each file, when it began with `synced` on the disk.
    pub(super) fn synced_since(&self, synced: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let touched = |name: &&String| state.syncs.contains(*name);
        let later = state.synced.iter().filter(|(name, _)| touched(name));
        synced.iter().chain(later).map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
    }

    /// Lets the step number `n` (from 0) of this kind fail, counted from now.
    pub(super) fn arm(&self, step: Step, form: Form, n: u64) {
        let mut state = self.state();
        state.fault = Some((step, form, n));
        state.hit = None;
        state.steps = [0, 0];
    }

    /// Mends the disk. Answers what the fault left behind, if there was one.
    pub(super) fn mend(&self) -> Option<Crash> {
        let mut state = self.state();
        state.fault = None;
        state.hit.take()
    }

    /// Ends the watch over files that are opened from now on.
    pub(super) fn unwatch(self: &Arc<Self>) {
        watched().retain(|disk| !Arc::ptr_eq(disk, self));
    }

    /// Notes that so many more events are known to be durable.
    pub(super) fn acknowledge(&self, events: usize) {
        self.state().acknowledged += events;
    }

    /// Writes and fsyncs since the disk was armed.
    pub(super) fn steps(&self) -> [u64; 2] {
        self.state().steps
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a step and answers how it is to fail.
    fn step(&self, step: Step) -> Option<Form> {
        let mut state = self.state();
        let count = &mut state.steps[usize::from(step == Step::Sync)];
        let number = *count;
        *count += 1;
        match state.fault {
            Some((kind, form, n)) if kind == step && number == n => {
                if form != Form::Full {
                    state.fault = None;
                }
                Some(form)
            }
            Some((kind, Form::Full, n)) if kind == step && number > n => Some(Form::Full),
            _ => None,
        }
    }

    /// Keeps what the files were at the moment of the fault.
    fn keep(&self) {
        let mut state = self.state();
        if state.hit.is_none() {
            state.hit = Some(Crash {
                as_written: state.files.clone(),
                as_synced: state.synced.clone(),
                key: std::fs::read(self.folder.join("audit.db.key")).unwrap_or_default(),
                acknowledged: state.acknowledged,
            });
        }
    }

    fn wrote(&self, name: &str, bytes: &[u8], offset: usize) {
        let mut state = self.state();
        let file = state.files.entry(name.to_owned()).or_default();
        if file.len() < offset + bytes.len() {
            file.resize(offset + bytes.len(), 0);
        }
        file[offset..][..bytes.len()].copy_from_slice(bytes);
    }

    fn truncated(&self, name: &str, size: usize) {
        self.state().files.entry(name.to_owned()).or_default().resize(size, 0);
    }

    fn synced(&self, name: &str) {
        let mut state = self.state();
        if let Some(bytes) = state.files.get(name).cloned() {
            state.synced.insert(name.to_owned(), bytes);
            state.syncs.insert(name.to_owned());
        }
    }
}

fn watched() -> MutexGuard<'static, Vec<Arc<Disk>>> {
    static WATCHED: Mutex<Vec<Arc<Disk>>> = Mutex::new(Vec::new());
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open file: what SQLite sees, who watches it, and behind that, at [`REAL`], the real file.
#[repr(C)]
struct File {
    base: sqlite3_file,
    watch: Option<(Arc<Disk>, String)>,
}

/// Where the real file begins; a multiple of every alignment it may need.
const REAL: usize = size_of::<File>().next_multiple_of(16);

/// SAFETY: `file` is one that `open` was given, so it has room for both.
unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    unsafe { file.byte_add(REAL) }
}

/// SAFETY: as for [`real`], and the file is open.
unsafe fn watch<'a>(file: *mut sqlite3_file) -> Option<&'a (Arc<Disk>, String)> {
    unsafe { (*file.cast::<File>()).watch.as_ref() }
}

/// Calls a method of the real file.
macro_rules! pass {
    ($file:ident, $method:ident $(, $argument:expr)*) => {{
        let real = real($file);
        ((*(*real).pMethods).$method.expect("SQLite's own files have every method"))(real $(, $argument)*)
    }};
}

/// A method that is passed on as it is. SAFETY: SQLite calls it with an open file of ours.
macro_rules! passed {
    ($name:ident, $method:ident, ($($argument:ident: $kind:ty),*) $(-> $result:ty)?) => {
        unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $kind),*) $(-> $result)? {
            unsafe { pass!(file, $method $(, $argument)*) }
        }
    };
}

passed!(read, xRead, (into: *mut c_void, count: c_int, offset: sqlite3_int64) -> c_int);
passed!(file_size, xFileSize, (size: *mut sqlite3_int64) -> c_int);
passed!(lock, xLock, (level: c_int) -> c_int);
passed!(unlock, xUnlock, (level: c_int) -> c_int);
passed!(check_reserved_lock, xCheckReservedLock, (out: *mut c_int) -> c_int);
passed!(file_control, xFileControl, (op: c_int, argument: *mut c_void) -> c_int);
passed!(sector_size, xSectorSize, () -> c_int);
passed!(device_characteristics, xDeviceCharacteristics, () -> c_int);
passed!(shm_map, xShmMap, (page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int);
passed!(shm_lock, xShmLock, (offset: c_int, count: c_int, flags: c_int) -> c_int);
passed!(shm_barrier, xShmBarrier, ());
passed!(shm_unmap, xShmUnmap, (delete: c_int) -> c_int);
passed!(fetch, xFetch, (offset: sqlite3_int64, count: c_int, out: *mut *mut c_void) -> c_int);
passed!(unfetch, xUnfetch, (offset: sqlite3_int64, page: *mut c_void) -> c_int);

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    unsafe {
        let code = pass!(file, xClose);
        (*file.cast::<File>()).watch = None;
        code
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, count: c_int, offset: sqlite3_int64) -> c_int {
    unsafe {
        let Some((disk, name)) = watch(file) else { return pass!(file, xWrite, from, count, offset) };
        let fault = disk.step(Step::Write);
        let stored = match fault {
            None | Some(Form::FailedButStored) => count,
            Some(Form::Torn) => count / 2,
            Some(Form::Failed | Form::Full) => 0,
        };
        if stored > 0 {
            let code = pass!(file, xWrite, from, stored, offset);
            if code != SQLITE_OK {
                return code;
            }
            disk.wrote(name, std::slice::from_raw_parts(from.cast(), stored as usize), offset as usize);
        }
        match fault {
            None => SQLITE_OK,
            Some(form) => {
                disk.keep();
                if form == Form::Full { SQLITE_FULL } else { SQLITE_IOERR_WRITE }
            }
        }
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    unsafe {
        let code = pass!(file, xTruncate, size);
        if let (SQLITE_OK, Some((disk, name))) = (code, watch(file)) {
            disk.truncated(name, size as usize);
        }
        code
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    unsafe {
        let Some((disk, name)) = watch(file) else { return pass!(file, xSync, flags) };
        let fault = disk.step(Step::Sync);
        // A real fsync would only make the tests slow: what a loss of power leaves is known without.
        if matches!(fault, None | Some(Form::FailedButStored)) {
            disk.synced(name);
        }
        if fault.is_some() {
            disk.keep();
            return SQLITE_IOERR_FSYNC;
        }
        SQLITE_OK
    }
}

static METHODS: sqlite3_io_methods = methods(3);
/// The first version knows no shared memory.
static REMOTE_METHODS: sqlite3_io_methods = methods(1);

const fn methods(version: c_int) -> sqlite3_io_methods {
    sqlite3_io_methods {
        iVersion: version,
        xClose: Some(close),
        xRead: Some(read),
        xWrite: Some(write),
        xTruncate: Some(truncate),
        xSync: Some(sync),
        xFileSize: Some(file_size),
        xLock: Some(lock),
        xUnlock: Some(unlock),
        xCheckReservedLock: Some(check_reserved_lock),
        xFileControl: Some(file_control),
        xSectorSize: Some(sector_size),
        xDeviceCharacteristics: Some(device_characteristics),
        xShmMap: Some(shm_map),
        xShmLock: Some(shm_lock),
        xShmBarrier: Some(shm_barrier),
        xShmUnmap: Some(shm_unmap),
        xFetch: Some(fetch),
        xUnfetch: Some(unfetch),
    }
}

/// SAFETY: SQLite calls it with our file system, a name that is null or ends with NUL, and `file` with
/// room for `szOsFile` bytes.
unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    unsafe {
        let under = (*vfs).pAppData.cast::<sqlite3_vfs>();
        (*file).pMethods = ptr::null();
        let code = ((*under).xOpen.expect("a file system opens files"))(under, name, real(file), flags, out);
        if code != SQLITE_OK {
            return code;
        }
        let path = if name.is_null() { None } else { CStr::from_ptr(name).to_str().ok().map(Path::new) };
        let disk = path.and_then(|path| {
            let disk = watched().iter().find(|disk| path.parent() == Some(&disk.folder)).cloned()?;
            Some((disk, path.file_name()?.to_str()?.to_owned()))
        });
        let remote = disk.as_ref().is_some_and(|(disk, _): &(Arc<Disk>, String)| disk.state().remote);
        ptr::write(&raw mut (*file.cast::<File>()).watch, disk);
        (*file).pMethods = if remote { &raw const REMOTE_METHODS } else { &raw const METHODS };
        SQLITE_OK
    }
}

/// What is asked of the file system itself is passed on too. SAFETY: as for `open`.
unsafe fn under(vfs: *mut sqlite3_vfs) -> *mut sqlite3_vfs {
    unsafe { (*vfs).pAppData.cast() }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    unsafe { ((*under(vfs)).xDelete.expect("a file system deletes files"))(under(vfs), name, sync_folder) }
}

unsafe extern "C" fn access(vfs: *mut sqlite3_vfs, name: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    unsafe { ((*under(vfs)).xAccess.expect("a file system finds files"))(under(vfs), name, flags, out) }
}

unsafe extern "C" fn full_path(vfs: *mut sqlite3_vfs, name: *const c_char, count: c_int, out: *mut c_char) -> c_int {
    unsafe { ((*under(vfs)).xFullPathname.expect("a file system knows paths"))(under(vfs), name, count, out) }
}

fn register() {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    REGISTERED.get_or_init(|| {
        // SAFETY: the default file system lives as long as the process; ours is leaked, and so does too.
        // The methods that are copied use no state but what they are handed.
        unsafe {
            let under = ffi::sqlite3_vfs_find(ptr::null());
            assert!(!under.is_null(), "SQLite has a default file system");
            let ours = Box::leak(Box::new(*under));
            ours.pNext = ptr::null_mut();
            ours.zName = c"failing".as_ptr();
            ours.pAppData = under.cast();
            ours.szOsFile += REAL as c_int;
            ours.xOpen = Some(open);
            ours.xDelete = Some(delete);
            ours.xAccess = Some(access);
            ours.xFullPathname = Some(full_path);
            assert_eq!(ffi::sqlite3_vfs_register(ours, 1), SQLITE_OK);
        }
    });
}
