//! `wasi:filesystem` 0.2. What changes something below a folder with a quota goes to `Folder`, all else to wasmtime-wasi.

use std::io;

use rustix::io::Errno;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, FsError, FsResult,
    bindings::filesystem::{
        preopens,
        types::{
            Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
            Filesize, Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
            PathFlags,
        },
    },
};

use super::{
    Fd, FilesView, Pair,
    folder::{Opening, Place},
    stream::FileStream,
};

/// The same words for what the system says, and for two things wasmtime-wasi has no words for.
fn code(error: &io::Error) -> ErrorCode {
    match Errno::from_io_error(error) {
        Some(Errno::DQUOT) => ErrorCode::Quota,
        Some(Errno::XDEV) => ErrorCode::CrossDevice,
        _ => ErrorCode::from(error),
    }
}

fn failed(error: io::Error) -> FsError {
    code(&error).into()
}

impl FilesView<'_> {
    fn stream(&mut self, fd: &Fd, place: Place) -> Option<FsResult<Resource<DynOutputStream>>> {
        let (folder, file) = self.file(fd)?;
        let stream: DynOutputStream = Box::new(FileStream::new(folder, file, place));
        Some(self.wasi.table.push(stream).map_err(FsError::from))
    }
}

impl preopens::Host for FilesView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        self.directories()
    }
}

impl Host for FilesView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.wasi.table.get(&error)?.downcast_ref::<io::Error>().map(code))
    }
}

impl HostDescriptor for FilesView<'_> {
    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let Some((folder, at)) = self.folder(&fd)? else {
            return self.wasi.open_at(fd, path_flags, path, open_flags, flags).await;
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
        Ok(self.add(opened)?)
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.files.charges.remove(&fd.rep());
        HostDescriptor::drop(&mut self.wasi, fd)
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        let Some((folder, file)) = self.file(&fd) else { return self.wasi.write(fd, bytes, offset).await };
        let written = folder.write(&file, Place::At(offset), bytes.into()).await.map_err(failed)?;
        Ok(written as Filesize)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.stream(&fd, Place::At(offset));
        stream.unwrap_or_else(|| self.wasi.write_via_stream(fd, offset))
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.stream(&fd, Place::End);
        stream.unwrap_or_else(|| self.wasi.append_via_stream(fd))
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        let Some((folder, file)) = self.file(&fd) else { return self.wasi.set_size(fd, size).await };
        folder.set_size(&file, size).await.map_err(failed)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let Some((folder, at)) = self.folder(&fd)? else { return self.wasi.create_directory_at(fd, path).await };
        folder.create_folder(at, path).await.map_err(failed)
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let Some((folder, at)) = self.folder(&fd)? else { return self.wasi.remove_directory_at(fd, path).await };
        folder.remove_folder(at, path).await.map_err(failed)
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let Some((folder, at)) = self.folder(&fd)? else { return self.wasi.unlink_file_at(fd, path).await };
        folder.remove_file(at, path).await.map_err(failed)
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        let Some((folder, at)) = self.folder(&fd)? else { return self.wasi.symlink_at(fd, target, path).await };
        folder.create_link(target, at, path).await.map_err(failed)
    }

    async fn rename_at(&mut self, fd: Fd, old: String, to: Fd, new: String) -> FsResult<()> {
        match self.pair(&fd, &to)? {
            Pair::Free => self.wasi.rename_at(fd, old, to, new).await,
            Pair::One(folder, from, to) => folder.rename(from, old, to, new).await.map_err(failed),
            Pair::Apart => Err(ErrorCode::CrossDevice.into()),
        }
    }

    async fn link_at(&mut self, fd: Fd, flags: PathFlags, old: String, to: Fd, new: String) -> FsResult<()> {
        match self.pair(&fd, &to)? {
            Pair::Free => self.wasi.link_at(fd, flags, old, to, new).await,
            Pair::One(..) if flags.contains(PathFlags::SYMLINK_FOLLOW) => Err(ErrorCode::Invalid.into()),
            Pair::One(folder, from, to) => folder.add_name(from, old, to, new).await.map_err(failed),
            Pair::Apart => Err(ErrorCode::CrossDevice.into()),
        }
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        // A listing holds every name of its folder in the host's memory.
        if self.files.listings >= self.files.most_listings {
            return Err(ErrorCode::InsufficientMemory.into());
        }
        let listing = self.wasi.read_directory(fd).await?;
        self.files.listings += 1;
        Ok(listing)
    }

    async fn advise(&mut self, fd: Fd, offset: Filesize, length: Filesize, advice: Advice) -> FsResult<()> {
        self.wasi.advise(fd, offset, length, advice).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.wasi.sync_data(fd).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.wasi.sync(fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        self.wasi.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        self.wasi.get_type(fd).await
    }

    async fn set_times(&mut self, fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        self.wasi.set_times(fd, accessed, modified).await
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        self.wasi.set_times_at(fd, path_flags, path, accessed, modified).await
    }

    async fn read(&mut self, fd: Fd, length: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)> {
        self.wasi.read(fd, length, offset).await
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.wasi.read_via_stream(fd, offset)
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        self.wasi.stat(fd).await
    }

    async fn stat_at(&mut self, fd: Fd, path_flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        self.wasi.stat_at(fd, path_flags, path).await
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        self.wasi.readlink_at(fd, path).await
    }

    async fn is_same_object(&mut self, fd: Fd, other: Fd) -> wasmtime::Result<bool> {
        self.wasi.is_same_object(fd, other).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        self.wasi.metadata_hash(fd).await
    }

    async fn metadata_hash_at(&mut self, fd: Fd, path_flags: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        self.wasi.metadata_hash_at(fd, path_flags, path).await
    }
}

impl HostDirectoryEntryStream for FilesView<'_> {
    async fn read_directory_entry(
        &mut self,
        listing: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.wasi.read_directory_entry(listing).await
    }

    fn drop(&mut self, listing: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.files.listings = self.files.listings.saturating_sub(1);
        HostDirectoryEntryStream::drop(&mut self.wasi, listing)
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
