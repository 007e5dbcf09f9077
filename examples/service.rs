//! The local service embedded in a program of your own: serves until Ctrl-C, prints its URL.
//!
//! Takes the options of `pieces-lsp service`: `[--data-dir DIR] [--port N] [--no-token]`.

use std::error::Error;

use pieces_lsp::service::{Options, attach, default_data_dir};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut options = Options {
        data_dir: default_data_dir()?,
        port: 0,
        token: true,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "service" => {}
            "--no-token" => options.token = false,
            "--port" => options.port = args.next().ok_or("--port needs a number")?.parse()?,
            "--data-dir" => options.data_dir = args.next().ok_or("--data-dir needs a path")?.into(),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let service = attach(&options).await?;
    #[allow(clippy::print_stdout)]
    {
        println!("{}", service.url);
    }
    tokio::signal::ctrl_c().await?;
    service.shutdown().await;
    Ok(())
}
