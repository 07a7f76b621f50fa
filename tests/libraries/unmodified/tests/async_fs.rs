//! Files of `async-fs`, which has threads of its own, in our tasks.

use std::io::{ErrorKind, SeekFrom};

use async_fs::{File, OpenOptions};
use executor::spawn;
use futures::future::join_all;
use futures::io::{copy, copy_buf};
use futures::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, TryStreamExt};
use libraries_unmodified::{bytes, connected, everywhere};

#[test]
fn files_of_many_tasks_at_once_hold_what_was_written() {
    everywhere(async || {
        const FILES: usize = 100;
        let folder = tempfile::tempdir().unwrap();
        let tasks = (0..FILES).map(|n| {
            let path = folder.path().join(n.to_string());
            spawn(async move {
                let data = bytes(n * 1001, n as u64);
                async_fs::write(&path, &data).await.unwrap();
                assert!(async_fs::read(&path).await.unwrap() == data);
                async_fs::metadata(&path).await.unwrap().len()
            })
        });
        let lengths = join_all(tasks).await.into_iter().map(Result::unwrap);
        assert!(lengths.eq((0..FILES as u64).map(|n| n * 1001)));

        let entries = async_fs::read_dir(folder.path()).await.unwrap();
        let mut names: Vec<_> = entries
            .map_ok(|entry| {
                entry
                    .file_name()
                    .to_str()
                    .unwrap()
                    .parse::<usize>()
                    .unwrap()
            })
            .try_collect()
            .await
            .unwrap();
        names.sort_unstable();
        assert!(names.into_iter().eq(0..FILES));
    });
}

#[test]
fn an_upload_reaches_the_file_and_the_file_reaches_the_peer() {
    everywhere(async || {
        const LEN: usize = 2 * 1024 * 1024 + 3;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("upload");
        let data = bytes(LEN, 6);
        let (mut client, mut server) = connected().await;
        let sent = data.clone();
        let client = spawn(async move {
            client.write_all(&sent).await.unwrap();
            client.close().await.unwrap();
            let mut back = Vec::new();
            client.read_to_end(&mut back).await.unwrap();
            back
        });
        let mut file = File::create(&path).await.unwrap();
        assert_eq!(copy(&server, &mut file).await.unwrap(), LEN as u64);
        file.sync_all().await.unwrap();
        let file = futures::io::BufReader::new(File::open(&path).await.unwrap());
        assert_eq!(copy_buf(file, &mut server).await.unwrap(), LEN as u64);
        server.close().await.unwrap();
        assert!(client.await.unwrap() == data, "the bytes differ");
    });
}

#[test]
fn one_file_is_read_written_and_moved_about_in() {
    everywhere(async || {
        let folder = tempfile::tempdir().unwrap();
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true);
        let path = folder.path().join("lines");
        let mut file = options.open(&path).await.unwrap();
        for n in 0..1000 {
            let line = format!("{n:04}\n");
            file.write_all(line.as_bytes()).await.unwrap();
        }
        file.flush().await.unwrap();
        file.seek(SeekFrom::Start(500 * 5)).await.unwrap();
        let mut line = [0; 5];
        file.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"0500\n");
        file.seek(SeekFrom::End(-5)).await.unwrap();
        file.write_all(b"last\n").await.unwrap();
        file.seek(SeekFrom::Start(0)).await.unwrap();
        let lines: Vec<String> = futures::io::BufReader::new(&mut file)
            .lines()
            .try_collect()
            .await
            .unwrap();
        assert_eq!(lines.len(), 1000);
        assert_eq!(lines[998..], ["0998", "last"]);
        file.set_len(10).await.unwrap();
        assert_eq!(async_fs::read(&path).await.unwrap(), b"0000\n0001\n");
        let error = options.open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    });
}
