//! Opens files that must be regular ones: opening a FIFO would wait for its other end, perhaps for ever.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// As [`OpenOptions::open`], for regular files only. The file need not exist.
pub fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    check(path, Devices::Refused)?;
    options.open(path)
}

/// As [`std::fs::read`], for regular files only.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(OpenOptions::new().read(true), path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a device such as `/dev/null` will do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Devices {
    Accepted,
    Refused,
}

/// Checks what is at a path, if anything that we may see.
///
/// # Errors
/// If it is something else than a regular file.
pub fn check(path: &Path, devices: Devices) -> io::Result<()> {
    let Ok(metadata) = std::fs::metadata(path) else { return Ok(()) };
    let kind = metadata.file_type();
    if kind.is_file() || (kind.is_char_device() && devices == Devices::Accepted) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {}, not a regular file", name(kind))))
}

fn name(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert_eq!(read(&fifo).unwrap_err().to_string(), "it is a FIFO, not a regular file");
        let append = open(OpenOptions::new().create(true).append(true), &fifo);
        assert_eq!(append.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(read(directory.path()).unwrap_err().to_string(), "it is a directory, not a regular file");
    }

    #[test]
    fn a_device_is_a_log_but_no_state() {
        let null = Path::new("/dev/null");
        assert!(check(null, Devices::Accepted).is_ok());
        assert_eq!(check(null, Devices::Refused).unwrap_err().to_string(), "it is a device, not a regular file");
    }

    #[test]
    fn a_file_is_made_or_read_through_links() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        drop(open(OpenOptions::new().create(true).append(true), &link).unwrap());
        assert_eq!(read(&link).unwrap(), b"");
        assert_eq!(read(&directory.path().join("absent")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
