//! The local service alone: `service DATA_DIR PORT [--no-token]`. Prints its URL.

use std::{error::Error, path::PathBuf};

use pieces_lsp::service::{Options, attach};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (Some(dir), Some(port)) = (args.first(), args.get(1)) else {
        return Err("usage: service DATA_DIR PORT [--no-token]".into());
    };
    let options = Options {
        data_dir: PathBuf::from(dir),
        port: port.parse()?,
        token: !args.iter().any(|arg| arg == "--no-token"),
    };
    let service = attach(&options).await?;
    #[allow(clippy::print_stdout)]
    {
        println!("{}", service.url);
    }
    tokio::signal::ctrl_c().await?;
    service.shutdown().await;
    Ok(())
}
