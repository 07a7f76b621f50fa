//! A chat room: a page, a WebSocket per page and a task per WebSocket, which all hear one broadcast channel.
//!
//! `cargo run --release --manifest-path examples/libraries/Cargo.toml --bin websocket_chat` serves the page until Ctrl-C:
//! open it twice. With `-- --check` two clients meet in the room, on a free port, and the program ends.

use std::error::Error;
use std::net::SocketAddr;

use async_broadcast::{Receiver, Sender, broadcast};
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::{Html, Response};
use axum::{Router, routing::get};
use executor::net::{TcpListener, TcpStream};
use futures::{SinkExt, StreamExt, TryStreamExt, stream, try_join};
use libraries_examples::{check_or_serve, request};
use tokio_tungstenite::client_async;

type Room = Sender<Utf8Bytes>;

#[executor::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (check, address) = check_or_serve(8081);
    let (mut room, heard) = broadcast(64);
    room.set_overflow(true); // who reads too slowly misses the oldest; nobody waits for them
    let _open = heard.deactivate(); // also when nobody is there
    let app = Router::new()
        .route("/", get(async || Html(include_str!("chat.html"))))
        .route("/room", get(enter))
        .with_state(room);
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("the room is at http://{address}; Ctrl-C closes it");
    drop(executor::spawn(axum::serve(listener, app).into_future()));
    match check {
        true => meet(address).await,
        false => Ok(tokio::signal::ctrl_c().await?),
    }
}

/// axum's own tasks share the one thread that stands in for tokio. The members run on all processors.
async fn enter(upgrade: WebSocketUpgrade, State(room): State<Room>) -> Response {
    let heard = room.new_receiver(); // from here on, nothing is missed
    upgrade.on_upgrade(async |socket| drop(executor::spawn(member(socket, room, heard))))
}

/// Passes on what a page says and tells it what all say, its own words too, until it leaves.
async fn member(socket: WebSocket, room: Room, heard: Receiver<Utf8Bytes>) {
    let (mut page, said) = socket.split();
    let mut events = stream::select(said.map(Ok), heard.map(Err));
    while let Some(event) = events.next().await {
        match event {
            Ok(Ok(Message::Text(text))) => drop(room.try_broadcast(text)),
            Ok(Ok(Message::Close(_)) | Err(_)) => break,
            Ok(Ok(_)) => {} // axum answers pings by itself
            Err(text) => {
                if page.send(Message::Text(text)).await.is_err() {
                    break;
                }
            }
        }
    }
}

/// Two clients who speak at once: both hear both, in the same order.
async fn meet(server: SocketAddr) -> Result<(), Box<dyn Error>> {
    request(server, "GET /").await?;
    let room = format!("ws://{server}/room");
    let (mut ada, _) = client_async(&room, TcpStream::connect(server).await?).await?;
    let (mut bob, _) = client_async(&room, TcpStream::connect(server).await?).await?;
    try_join!(ada.send("I am Ada".into()), bob.send("I am Bob".into()))?;
    let (ada, bob) = (ada.take(2).try_collect(), bob.take(2).try_collect());
    let (ada, bob): (Vec<_>, Vec<_>) = try_join!(ada, bob)?;
    assert_eq!(ada, bob);
    println!("both hear: {}, {}", ada[0], ada[1]);
    Ok(())
}
