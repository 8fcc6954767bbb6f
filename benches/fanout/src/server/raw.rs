use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Orders, block};

/// Each write is of so many events at most.
pub async fn serve(listener: TcpListener, joined: usize) -> io::Result<()> {
    let sockets = Rc::new(RefCell::new(Vec::new()));
    let accepted = Rc::clone(&sockets);
    let accept = async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let _request = socket.read(&mut head).await?;
            socket.set_nodelay(true)?;
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n:\n\n").await?;
            accepted.borrow_mut().push(socket);
        }
        Ok(())
    };
    let publish = async move {
        let mut orders = Orders::new();
        let mut number = 0;
        while let Some((count, _)) = orders.next().await {
            let mut left = count;
            while left > 0 {
                let together = left.min(joined);
                left -= together;
                let blocks = (number + 1..=number + together).map(block);
                let block = blocks.collect::<Vec<_>>().concat();
                number += together;
                for socket in sockets.borrow().iter() {
                    // Sockets have room for all that is published at once.
                    let written = socket.try_write(&block)?;
                    assert_eq!(written, block.len(), "the socket is full");
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    tokio::select! {
        ended = accept => ended,
        ended = publish => ended,
    }
}
