//! `wasi:filesystem` 0.3. What changes something below a folder with a quota goes to `Folder`, all else to wasmtime-wasi; but
//! for the listings of folders, which are our own everywhere.

use std::{io, iter, sync::Arc};

use rustix::io::Errno;
use tokio::sync::oneshot;
use wasmtime::{
    AsContextMut,
    component::{Access, Accessor, FutureReader, HasData, StreamReader},
};
use wasmtime_wasi::{
    filesystem::{Descriptor, WasiFilesystem},
    p3::{
        bindings::filesystem::{
            preopens,
            types::{
                Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize, Host,
                HostDescriptor, HostDescriptorWithStore, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
            },
        },
        filesystem::{FilesystemError, FilesystemResult},
    },
};

use super::{
    Below, Fd, Files, FilesView, Pair,
    account::OpenFile,
    folder::{Folder, Opening, Place},
    listing::Listing,
    stream::FileConsumer,
};
use crate::engine::imports::Guest;

/// How a stream ended.
type Ended = FutureReader<Result<(), ErrorCode>>;

/// The guest's things, from within a function that awaits.
type Guests = Accessor<Guest, Files>;

/// The same words for what the system says, and for two things wasmtime-wasi has no words for.
pub(super) fn code(error: &io::Error) -> ErrorCode {
    match Errno::from_io_error(error) {
        Some(Errno::DQUOT) => ErrorCode::Quota,
        Some(Errno::XDEV) => ErrorCode::CrossDevice,
        _ => ErrorCode::from(error),
    }
}

fn failed(error: io::Error) -> FilesystemError {
    code(&error).into()
}

/// What wasmtime-wasi needs of a guest.
const WASI: fn(&mut Guest) -> <WasiFilesystem as HasData>::Data<'_> = |guest| guest.files().wasi;

fn wasi<'a>(guests: &'a mut Access<'_, Guest, Files>) -> Access<'a, Guest, WasiFilesystem> {
    Access::<Guest, WasiFilesystem>::new(guests.as_context_mut(), WASI)
}

fn to_wasi(guests: &Guests) -> Accessor<Guest, WasiFilesystem> {
    guests.with_getter::<WasiFilesystem>(WASI)
}

fn folder(guests: &Guests, fd: &Fd) -> FilesystemResult<Option<Below>> {
    Ok(guests.with(|mut guest| guest.get().folder(fd))?)
}

fn file(guests: &Guests, fd: &Fd) -> Option<(Arc<Folder>, Arc<OpenFile>)> {
    guests.with(|mut guest| guest.get().file(fd))
}

fn pair(guests: &Guests, from: &Fd, to: &Fd) -> FilesystemResult<Pair> {
    Ok(guests.with(|mut guest| guest.get().pair(from, to))?)
}

impl preopens::Host for FilesView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        self.directories()
    }
}

impl Host for FilesView<'_> {
    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

impl HostDescriptor for FilesView<'_> {
    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.files.charges.remove(&fd.rep());
        HostDescriptor::drop(&mut self.wasi, fd)
    }
}

/// Lets what a guest hands over go into a file of an account.
fn consume(
    mut guests: Access<'_, Guest, Files>,
    (folder, file): (Arc<Folder>, Arc<OpenFile>),
    place: Place,
    data: StreamReader<u8>,
) -> wasmtime::Result<Ended> {
    let (sender, ended) = oneshot::channel();
    data.pipe(&mut guests, FileConsumer::new(folder, file, place, sender))?;
    FutureReader::new(&mut guests, ended)
}

impl HostDescriptorWithStore<Guest> for Files {
    fn write_via_stream(
        mut guests: Access<'_, Guest, Self>,
        fd: Fd,
        data: StreamReader<u8>,
        offset: Filesize,
    ) -> wasmtime::Result<Ended> {
        match guests.get().file(&fd) {
            Some(file) => consume(guests, file, Place::At(offset), data),
            None => WasiFilesystem::write_via_stream(wasi(&mut guests), fd, data, offset),
        }
    }

    fn append_via_stream(
        mut guests: Access<'_, Guest, Self>,
        fd: Fd,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<Ended> {
        match guests.get().file(&fd) {
            Some(file) => consume(guests, file, Place::End, data),
            None => WasiFilesystem::append_via_stream(wasi(&mut guests), fd, data),
        }
    }

    fn read_via_stream(
        mut guests: Access<'_, Guest, Self>,
        fd: Fd,
        offset: Filesize,
    ) -> wasmtime::Result<(StreamReader<u8>, Ended)> {
        WasiFilesystem::read_via_stream(wasi(&mut guests), fd, offset)
    }

    fn read_directory(
        mut guests: Access<'_, Guest, Self>,
        fd: Fd,
    ) -> wasmtime::Result<(StreamReader<DirectoryEntry>, Ended)> {
        let folder = match guests.get().wasi.table.get(&fd)? {
            Descriptor::Dir(dir) => Some(dir.dir.clone()),
            Descriptor::File(_) => None,
        };
        let (sender, ended) = oneshot::channel();
        let names = match folder {
            Some(folder) => StreamReader::new(&mut guests, Listing::new(folder, sender))?,
            None => {
                sender.send(Err(ErrorCode::NotDirectory)).ok();
                StreamReader::new(&mut guests, iter::empty())?
            }
        };
        Ok((names, FutureReader::new(&mut guests, ended)?))
    }

    async fn open_at(
        guests: &Guests,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FilesystemResult<Fd> {
        let Some((folder, at)) = folder(guests, &fd)? else {
            return WasiFilesystem::open_at(&to_wasi(guests), fd, path_flags, path, open_flags, flags).await;
        };
        let synchronised = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        if flags.intersects(synchronised) {
            return Err(ErrorCode::Unsupported.into());
        }
        let opening = Opening {
            follow: path_flags.contains(PathFlags::SYMLINK_FOLLOW),
            create: open_flags.contains(OpenFlags::CREATE),
            exclusive: open_flags.contains(OpenFlags::EXCLUSIVE),
            truncate: open_flags.contains(OpenFlags::TRUNCATE),
            directory: open_flags.contains(OpenFlags::DIRECTORY),
            read: flags.contains(DescriptorFlags::READ),
            write: flags.contains(DescriptorFlags::WRITE),
        };
        let opened = folder.open(at, path, opening).await.map_err(failed)?;
        Ok(guests.with(|mut guest| guest.get().add(opened))?)
    }

    async fn set_size(guests: &Guests, fd: Fd, size: Filesize) -> FilesystemResult<()> {
        match file(guests, &fd) {
            Some((folder, file)) => folder.set_size(&file, size).await.map_err(failed),
            None => WasiFilesystem::set_size(&to_wasi(guests), fd, size).await,
        }
    }

    async fn create_directory_at(guests: &Guests, fd: Fd, path: String) -> FilesystemResult<()> {
        match folder(guests, &fd)? {
            Some((folder, at)) => folder.create_folder(at, path).await.map_err(failed),
            None => WasiFilesystem::create_directory_at(&to_wasi(guests), fd, path).await,
        }
    }

    async fn remove_directory_at(guests: &Guests, fd: Fd, path: String) -> FilesystemResult<()> {
        match folder(guests, &fd)? {
            Some((folder, at)) => folder.remove_folder(at, path).await.map_err(failed),
            None => WasiFilesystem::remove_directory_at(&to_wasi(guests), fd, path).await,
        }
    }

    async fn unlink_file_at(guests: &Guests, fd: Fd, path: String) -> FilesystemResult<()> {
        match folder(guests, &fd)? {
            Some((folder, at)) => folder.remove_file(at, path).await.map_err(failed),
            None => WasiFilesystem::unlink_file_at(&to_wasi(guests), fd, path).await,
        }
    }

    async fn symlink_at(guests: &Guests, fd: Fd, target: String, path: String) -> FilesystemResult<()> {
        match folder(guests, &fd)? {
            Some((folder, at)) => folder.create_link(target, at, path).await.map_err(failed),
            None => WasiFilesystem::symlink_at(&to_wasi(guests), fd, target, path).await,
        }
    }

    async fn rename_at(guests: &Guests, fd: Fd, old: String, to: Fd, new: String) -> FilesystemResult<()> {
        match pair(guests, &fd, &to)? {
            Pair::Free => WasiFilesystem::rename_at(&to_wasi(guests), fd, old, to, new).await,
            Pair::One(folder, from, to) => folder.rename(from, old, to, new).await.map_err(failed),
            Pair::Apart => Err(ErrorCode::CrossDevice.into()),
        }
    }

    async fn link_at(
        guests: &Guests,
        fd: Fd,
        flags: PathFlags,
        old: String,
        to: Fd,
        new: String,
    ) -> FilesystemResult<()> {
        match pair(guests, &fd, &to)? {
            Pair::Free => WasiFilesystem::link_at(&to_wasi(guests), fd, flags, old, to, new).await,
            Pair::One(..) if flags.contains(PathFlags::SYMLINK_FOLLOW) => Err(ErrorCode::Invalid.into()),
            Pair::One(folder, from, to) => folder.add_name(from, old, to, new).await.map_err(failed),
            Pair::Apart => Err(ErrorCode::CrossDevice.into()),
        }
    }

    async fn advise(
        guests: &Guests,
        fd: Fd,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FilesystemResult<()> {
        WasiFilesystem::advise(&to_wasi(guests), fd, offset, length, advice).await
    }

    async fn sync_data(guests: &Guests, fd: Fd) -> FilesystemResult<()> {
        WasiFilesystem::sync_data(&to_wasi(guests), fd).await
    }

    async fn sync(guests: &Guests, fd: Fd) -> FilesystemResult<()> {
        WasiFilesystem::sync(&to_wasi(guests), fd).await
    }

    async fn get_flags(guests: &Guests, fd: Fd) -> FilesystemResult<DescriptorFlags> {
        WasiFilesystem::get_flags(&to_wasi(guests), fd).await
    }

    async fn get_type(guests: &Guests, fd: Fd) -> FilesystemResult<DescriptorType> {
        WasiFilesystem::get_type(&to_wasi(guests), fd).await
    }

    async fn set_times(
        guests: &Guests,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        WasiFilesystem::set_times(&to_wasi(guests), fd, accessed, modified).await
    }

    async fn set_times_at(
        guests: &Guests,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        WasiFilesystem::set_times_at(&to_wasi(guests), fd, path_flags, path, accessed, modified).await
    }

    async fn stat(guests: &Guests, fd: Fd) -> FilesystemResult<DescriptorStat> {
        WasiFilesystem::stat(&to_wasi(guests), fd).await
    }

    async fn stat_at(guests: &Guests, fd: Fd, path_flags: PathFlags, path: String) -> FilesystemResult<DescriptorStat> {
        WasiFilesystem::stat_at(&to_wasi(guests), fd, path_flags, path).await
    }

    async fn readlink_at(guests: &Guests, fd: Fd, path: String) -> FilesystemResult<String> {
        WasiFilesystem::readlink_at(&to_wasi(guests), fd, path).await
    }

    async fn is_same_object(guests: &Guests, fd: Fd, other: Fd) -> wasmtime::Result<bool> {
        WasiFilesystem::is_same_object(&to_wasi(guests), fd, other).await
    }

    async fn metadata_hash(guests: &Guests, fd: Fd) -> FilesystemResult<MetadataHashValue> {
        WasiFilesystem::metadata_hash(&to_wasi(guests), fd).await
    }

    async fn metadata_hash_at(
        guests: &Guests,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
    ) -> FilesystemResult<MetadataHashValue> {
        WasiFilesystem::metadata_hash_at(&to_wasi(guests), fd, path_flags, path).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_up_quota_a_full_disk_and_another_device_are_told_apart() {
        let said = [Errno::DQUOT, Errno::NOSPC, Errno::XDEV, Errno::NOENT].map(|errno| code(&errno.into()));
        let expected = [ErrorCode::Quota, ErrorCode::InsufficientSpace, ErrorCode::CrossDevice, ErrorCode::NoEntry];
        assert_eq!(format!("{said:?}"), format!("{expected:?}"));
    }
}
