//! Port `Blobs`: recordings and exports. `object_store` is the port; here are the few calls the platform makes.

use crate::StoreError;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
pub use object_store;
pub use object_store::ObjectStore;
pub use object_store::path::Path as BlobPath;
use object_store::{GetOptions, GetRange, ObjectStoreExt, PutPayload, WriteMultipart};
use std::ops::Range;
use std::path::Path;
use tokio::io::AsyncReadExt;

/// A part of an upload: S3's lower bound for all but the last.
const PART_BYTES: usize = 5 << 20;
const PARTS_AT_ONCE: usize = 2;

/// What is read of a blob, as a stream of pieces.
pub struct BlobReader {
    /// Of the whole blob.
    pub size: u64,
    /// What the pieces cover.
    pub range: Range<u64>,
    pub pieces: BoxStream<'static, Result<bytes::Bytes, StoreError>>,
}

/// `None` when there is no such blob.
fn found<T>(result: object_store::Result<T>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: object_store::Error) -> StoreError {
    StoreError::Unavailable(format!("blobs: {error}"))
}

pub async fn put_bytes(store: &dyn ObjectStore, path: &BlobPath, bytes: bytes::Bytes) -> Result<(), StoreError> {
    store.put(path, PutPayload::from_bytes(bytes)).await.map_err(failed)?;
    Ok(())
}

/// Streams a file into a blob, never more than a few parts in memory. The blob appears whole or not at all.
/// Its size in bytes.
pub async fn put_file(store: &dyn ObjectStore, path: &BlobPath, file: &Path) -> Result<u64, StoreError> {
    let mut source = tokio::fs::File::open(file)
        .await
        .map_err(|error| StoreError::Unavailable(format!("{}: {error}", file.display())))?;
    let upload = store.put_multipart(path).await.map_err(failed)?;
    let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        let read = match source.read(&mut buffer).await {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => {
                writer.abort().await.map_err(failed)?;
                return Err(StoreError::Unavailable(format!("{}: {error}", file.display())));
            }
        };
        if let Err(error) = writer.wait_for_capacity(PARTS_AT_ONCE).await {
            writer.abort().await.map_err(failed)?;
            return Err(failed(error));
        }
        writer.write(&buffer[..read]);
        size += read as u64;
    }
    // An empty file has no part, which some stores refuse.
    if size == 0 {
        writer.abort().await.map_err(failed)?;
        put_bytes(store, path, bytes::Bytes::new()).await?;
        return Ok(0);
    }
    writer.finish().await.map_err(failed)?;
    Ok(size)
}

/// All of it, or the bytes of `range`, which is cut at the blob's end. `None` when there is no such blob.
pub async fn get(store: &dyn ObjectStore, path: &BlobPath, range: Option<Range<u64>>) -> Result<Option<BlobReader>, StoreError> {
    if let Some(wanted) = &range {
        let Some(meta) = found(store.head(path).await)? else { return Ok(None) };
        if wanted.start >= meta.size || wanted.is_empty() {
            let at = wanted.start.min(meta.size);
            return Ok(Some(BlobReader {
                size: meta.size,
                range: at..at,
                pieces: futures_util::stream::empty().boxed(),
            }));
        }
    }
    let options = GetOptions {
        range: range.map(GetRange::Bounded),
        ..GetOptions::default()
    };
    let Some(answer) = found(store.get_opts(path, options).await)? else {
        return Ok(None);
    };
    Ok(Some(BlobReader {
        size: answer.meta.size,
        range: answer.range.clone(),
        pieces: answer.into_stream().map(|piece| piece.map_err(failed)).boxed(),
    }))
}

/// A small part, in memory. `None` when there is no such blob.
pub async fn get_range(store: &dyn ObjectStore, path: &BlobPath, range: Range<u64>) -> Result<Option<bytes::Bytes>, StoreError> {
    let Some(mut reader) = get(store, path, Some(range)).await? else {
        return Ok(None);
    };
    let mut bytes = bytes::BytesMut::new();
    while let Some(piece) = reader.pieces.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(Some(bytes.freeze()))
}

pub async fn size(store: &dyn ObjectStore, path: &BlobPath) -> Result<Option<u64>, StoreError> {
    Ok(found(store.head(path).await)?.map(|meta| meta.size))
}

/// `false` when there was none.
pub async fn delete(store: &dyn ObjectStore, path: &BlobPath) -> Result<bool, StoreError> {
    Ok(found(store.delete(path).await)?.is_some())
}
