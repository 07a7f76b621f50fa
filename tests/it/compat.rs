//! What the adapters of `compat` do at their edges. The libraries themselves run in `tests/libraries/`.

#[cfg(all(unix, any(feature = "tokio-io", feature = "hyper")))]
mod streams {
    pub(crate) use std::net::Ipv4Addr;
    pub(crate) use std::pin::Pin;
    pub(crate) use std::task::{Context, Poll};

    pub(crate) use executor::net::{TcpListener, TcpStream};
    pub(crate) use futures::io::{AsyncReadExt, AsyncWriteExt};

    pub(crate) async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let connect = TcpStream::connect(listener.local_addr().unwrap());
        let (a, b) = futures::join!(connect, listener.accept());
        (a.unwrap(), b.unwrap().0)
    }
}

#[cfg(all(unix, feature = "tokio-io"))]
mod tokio_io {
    use std::future::poll_fn;
    use std::io::{IoSlice, PipeReader, PipeWriter};
    use std::mem::MaybeUninit;

    use executor::io::Async;
    use executor::net::unix::UnixStream;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::streams::*;

    fn assert_both<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static>(_: &T) {}

    async fn read(io: &mut (impl AsyncRead + Unpin), buf: &mut ReadBuf<'_>) {
        poll_fn(|cx| Pin::new(&mut *io).poll_read(cx, buf))
            .await
            .unwrap();
    }

    #[test]
    fn a_read_claims_no_more_than_it_got() {
        executor::block_on(async {
            let (mut a, mut b) = pair().await;
            a.write_all(b"hello").await.unwrap();
            let mut space = [MaybeUninit::uninit(); 64];
            let mut buf = ReadBuf::uninit(&mut space);
            buf.put_slice(b"kept ");
            read(&mut b, &mut buf).await;
            assert_eq!(buf.filled(), b"kept hello");
            assert_eq!((buf.initialized().len(), buf.remaining()), (10, 54));
            // The end of the stream fills nothing.
            a.close().await.unwrap();
            read(&mut b, &mut buf).await;
            assert_eq!(buf.filled(), b"kept hello");
        });
    }

    #[test]
    fn a_read_into_a_full_buffer_takes_nothing() {
        executor::block_on(async {
            let (mut a, mut b) = pair().await;
            a.write_all(b"hello").await.unwrap();
            read(&mut b, &mut ReadBuf::uninit(&mut [])).await;
            let mut rest = [0; 8];
            assert_eq!(b.read(&mut rest).await.unwrap(), 5);
        });
    }

    #[test]
    fn a_vectored_write_sends_all_slices_at_once() {
        executor::block_on(async {
            let (mut a, mut b) = pair().await;
            assert!(AsyncWrite::is_write_vectored(&a));
            let slices = [
                IoSlice::new(b"one "),
                IoSlice::new(b""),
                IoSlice::new(b"two"),
            ];
            let sent = poll_fn(|cx| AsyncWrite::poll_write_vectored(Pin::new(&mut a), cx, &slices));
            assert_eq!(sent.await.unwrap(), 7);
            poll_fn(|cx| AsyncWrite::poll_shutdown(Pin::new(&mut a), cx))
                .await
                .unwrap();
            let mut text = String::new();
            b.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "one two");
        });
    }

    #[test]
    fn shutting_down_twice_or_without_a_peer_is_no_error() {
        executor::block_on(async {
            let (a, b) = pair().await;
            drop(b);
            let (_read, mut write) = a.into_split();
            for _ in 0..2 {
                poll_fn(|cx| AsyncWrite::poll_shutdown(Pin::new(&mut write), cx))
                    .await
                    .unwrap();
            }
        });
    }

    #[test]
    fn each_type_that_the_table_names_has_the_traits() {
        executor::block_on(async {
            let (a, _b) = pair().await;
            assert_both(&a);
            let (read, write) = a.into_split();
            fn reads(_: &impl AsyncRead) {}
            fn writes(_: &impl AsyncWrite) {}
            reads(&read);
            writes(&write);
            let (a, _b) = UnixStream::pair().unwrap();
            assert_both(&a);
            let (read, write) = a.into_split();
            reads(&read);
            writes(&write);
            let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
            assert_both(&Async::new(a).unwrap());
        });
    }

    #[test]
    fn any_descriptor_reads_and_writes() {
        executor::block_on(async {
            let (reader, writer): (PipeReader, PipeWriter) = std::io::pipe().unwrap();
            let mut reader = Async::new(reader).unwrap();
            let mut writer = Async::new(writer).unwrap();
            let slices = [IoSlice::new(b"one "), IoSlice::new(b"two")];
            let sent =
                poll_fn(|cx| AsyncWrite::poll_write_vectored(Pin::new(&mut writer), cx, &slices));
            assert_eq!(sent.await.unwrap(), 7);
            let mut space = [MaybeUninit::uninit(); 16];
            let mut buf = ReadBuf::uninit(&mut space);
            read(&mut reader, &mut buf).await;
            assert_eq!(buf.filled(), b"one two");
        });
    }

    #[test]
    fn every_writer_of_a_full_socket_is_woken() {
        const WRITERS: usize = 5;
        executor::block_on(async {
            let (a, mut b) = pair().await;
            let block = vec![7; 64 * 1024];
            let mut filled = 0;
            let mut probe = a.clone();
            let waker = futures::task::noop_waker();
            let mut cx = Context::from_waker(&waker);
            while let Poll::Ready(sent) =
                AsyncWrite::poll_write(Pin::new(&mut probe), &mut cx, &block)
            {
                filled += sent.unwrap();
            }
            let writers: Vec<_> = (0..WRITERS)
                .map(|_| {
                    let mut writer = a.clone();
                    executor::spawn(async move {
                        poll_fn(|cx| AsyncWrite::poll_write(Pin::new(&mut writer), cx, b"x")).await
                    })
                })
                .collect();
            drop((a, probe));
            let mut received = Vec::new();
            let read_all = b.read_to_end(&mut received);
            let (read, written) = futures::join!(read_all, futures::future::join_all(writers));
            let sent: usize = written.into_iter().map(|sent| sent.unwrap().unwrap()).sum();
            assert_eq!(sent, WRITERS);
            assert_eq!(read.unwrap(), filled + WRITERS);
        });
    }
}

#[cfg(all(unix, feature = "hyper"))]
mod hyper {
    use std::future::{Future, poll_fn};
    use std::io::IoSlice;
    use std::mem::MaybeUninit;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};
    use std::time::{Duration, Instant};

    use executor::compat::HyperTimer;
    use hyper::rt::{Read, ReadBuf, Sleep, Timer, Write};

    use super::streams::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const SOON: Duration = Duration::from_millis(5);

    fn address(sleep: &Pin<Box<dyn Sleep>>) -> *const () {
        std::ptr::from_ref(sleep.as_ref().get_ref()).cast()
    }

    #[test]
    fn a_reset_timer_stays_where_it_is_also_after_it_fired() {
        executor::block_on(async {
            let start = Instant::now();
            let mut sleep = HyperTimer.sleep(HOUR);
            let at = address(&sleep);
            for round in 1..=3 {
                let deadline = start + SOON * round;
                HyperTimer.reset(&mut sleep, deadline);
                sleep.as_mut().await;
                assert!(Instant::now() >= deadline);
                assert_eq!(address(&sleep), at);
            }
        });
    }

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_reset_while_somebody_waits_wakes_it_in_time_without_another_poll() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let mut sleep = HyperTimer.sleep_until(Instant::now() + HOUR);
        assert!(
            sleep
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        HyperTimer.reset(&mut sleep, Instant::now() + SOON);
        let begin = Instant::now();
        while count.0.load(Ordering::SeqCst) == 0 {
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "nobody was woken"
            );
            std::thread::yield_now();
        }
        assert!(
            sleep
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
        );
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_timer_of_somebody_else_is_replaced() {
        struct Never;
        impl Future for Never {
            type Output = ();
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                Poll::Pending
            }
        }
        impl Sleep for Never {}

        let mut sleep: Pin<Box<dyn Sleep>> = Box::pin(Never);
        HyperTimer.reset(&mut sleep, Instant::now());
        assert!(sleep.is::<executor::time::Sleep>());
        executor::block_on(sleep);
    }

    #[test]
    fn a_read_claims_no_more_than_it_got() {
        executor::block_on(async {
            let (mut a, mut b) = pair().await;
            a.write_all(b"hello").await.unwrap();
            let mut space = [MaybeUninit::uninit(); 64];
            let mut buf = ReadBuf::uninit(&mut space);
            poll_fn(|cx| Read::poll_read(Pin::new(&mut b), cx, buf.unfilled()))
                .await
                .unwrap();
            assert_eq!(buf.filled(), b"hello");
            assert_eq!(buf.unfilled().remaining(), 59);
        });
    }

    #[test]
    fn a_vectored_write_sends_all_slices_at_once() {
        executor::block_on(async {
            let (mut a, mut b) = pair().await;
            assert!(Write::is_write_vectored(&a));
            let slices = [IoSlice::new(b"one "), IoSlice::new(b"two")];
            let sent = poll_fn(|cx| Write::poll_write_vectored(Pin::new(&mut a), cx, &slices));
            assert_eq!(sent.await.unwrap(), 7);
            poll_fn(|cx| Write::poll_shutdown(Pin::new(&mut a), cx))
                .await
                .unwrap();
            let mut text = String::new();
            b.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "one two");
        });
    }
}

#[cfg(feature = "futures-task")]
mod futures_task {
    use std::rc::Rc;

    use executor::runtime::Builder;
    use futures::task::{LocalSpawn, LocalSpawnExt, Spawn, SpawnExt};

    #[test]
    fn a_runtime_that_has_shut_down_refuses() {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let handle = runtime.handle().clone();
        assert!(handle.status().is_ok());
        let ran = handle.spawn_with_handle(async { 5 }).unwrap();
        assert_eq!(runtime.block_on(ran), 5);
        drop(runtime);
        assert!(handle.status().unwrap_err().is_shutdown());
        let refused = SpawnExt::spawn(&handle, async {});
        assert!(refused.unwrap_err().is_shutdown());
    }

    #[test]
    fn local_spawn_needs_a_block_on_of_the_thread_and_refuses_without() {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let handle = runtime.handle().clone();
        assert!(handle.status_local().is_err());
        assert!(handle.spawn_local(async {}).is_err());
        let refused = runtime.spawn({
            let handle = handle.clone();
            async move { handle.status_local().is_err() && handle.spawn_local(async {}).is_err() }
        });
        assert!(
            runtime.block_on(refused).unwrap(),
            "a worker runs no local tasks"
        );
        let sum = runtime.block_on(async {
            assert!(handle.status_local().is_ok());
            let shared = Rc::new(20);
            let task = handle.spawn_local_with_handle({
                let shared = shared.clone();
                async move { *shared + 1 }
            });
            task.unwrap().await + *shared
        });
        assert_eq!(sum, 41);
    }

    #[test]
    fn a_refused_future_is_dropped_once() {
        struct Counted(std::sync::Arc<()>);
        let alive = std::sync::Arc::new(());
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let counted = Counted(alive.clone());
        let refused = SpawnExt::spawn(&handle, async move {
            let _held = counted.0;
        });
        assert!(refused.is_err());
        assert_eq!(std::sync::Arc::strong_count(&alive), 1);
    }
}
