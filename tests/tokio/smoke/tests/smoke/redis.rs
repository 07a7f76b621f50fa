//! redis: the client whose clones share a connection, against a server of a few commands.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use libraries_tokio_context::{everywhere, output};
use redis::AsyncCommands;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

type Values = Arc<Mutex<HashMap<String, String>>>;

/// A command is an array of strings. None at the end of the stream.
async fn command(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<String>>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = Vec::new();
    for _ in 0..number(&line, '*') {
        line.clear();
        stream.read_line(&mut line).await?;
        let mut word = vec![0; number(&line, '$') + 2];
        stream.read_exact(&mut word).await?;
        assert!(word.ends_with(b"\r\n"));
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).unwrap());
    }
    Ok(Some(words))
}

fn number(line: &str, mark: char) -> usize {
    line.strip_prefix(mark).unwrap().trim_end().parse().unwrap()
}

fn answer(values: &Values, words: &[&str]) -> String {
    let mut values = values.lock().unwrap();
    match words {
        ["SET", key, value] => {
            values.insert((*key).to_owned(), (*value).to_owned());
            "+OK\r\n".to_owned()
        }
        ["GET", key] => match values.get(*key) {
            Some(value) => format!("${}\r\n{value}\r\n", value.len()),
            None => "$-1\r\n".to_owned(),
        },
        ["INCRBY", key, by] => {
            let value = values.entry((*key).to_owned()).or_default();
            let sum = value.parse().unwrap_or(0) + by.parse::<i64>().unwrap();
            *value = sum.to_string();
            format!(":{sum}\r\n")
        }
        ["CLIENT", ..] => "+OK\r\n".to_owned(),
        _ => "-ERR unknown command\r\n".to_owned(),
    }
}

async fn serve(stream: TcpStream, values: Values) {
    let mut stream = BufReader::new(stream);
    while let Some(words) = command(&mut stream).await.unwrap() {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let answer = answer(&values, &words);
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[test]
fn clones_share_a_connection_and_each_gets_its_answer() {
    everywhere(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            serve(listener.accept().await.unwrap().0, Values::default()).await;
        });
        let client = redis::Client::open(format!("redis://{address}")).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let mut connection = connection.clone();
                tokio::spawn(async move {
                    let (key, value) = (format!("key {n}"), "v".repeat(n * n));
                    let none: Option<String> = connection.get(&key).await.unwrap();
                    assert_eq!(none, None);
                    let () = connection.set(&key, &value).await.unwrap();
                    let back: String = connection.get(&key).await.unwrap();
                    assert!(back == value);
                    let _: i64 = connection.incr("sum", n).await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            output(task).await;
        }
        let mut connection = connection;
        let sum: i64 = connection.get("sum").await.unwrap();
        assert_eq!(sum, (0..100).sum::<i64>());
        let unknown = redis::cmd("NONE").query_async::<()>(&mut connection).await;
        assert!(unknown.unwrap_err().to_string().contains("unknown command"));
        drop(connection);
        output(server).await;
    });
}
