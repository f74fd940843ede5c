//! A helper the tests start inside network namespaces: `peer COMMAND …`.
//!
//! | command | does |
//! |---|---|
//! | `udp-echo PORT NAME ADDR…` | answers each datagram with `NAME`, a line end, and the datagram |
//! | `udp-ask ADDR PORT [KEY=N]…` | asks an echo and prints who answered |
//! | `decap` | unwraps IPIP, GRE and GUE (port 6080) addressed to this host |
//! | `send-raw DEV` | sends the frames given in hexadecimal on standard input, one a line |
//! | `tcx DEV` | prints how many programs are attached to the TCX ingress hook of `DEV` |

mod decap;
mod raw;
mod tcx;
mod udp;

use std::error::Error;
use std::net::SocketAddr;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["udp-echo", port, name, ref ips @ ..] => {
            let ips = ips.iter().map(|ip| ip.parse());
            udp::echo(&ips.collect::<Result<Vec<_>, _>>()?, port.parse()?, name)?;
        }
        ["udp-ask", ip, port, ref options @ ..] => {
            let to = SocketAddr::new(ip.parse()?, port.parse()?);
            udp::ask(to, &udp::Options::parse(options)?)?;
        }
        ["decap"] => decap::run()?,
        ["send-raw", dev] => raw::send(dev)?,
        ["tcx", dev] => println!("{}", tcx::attached(dev)?),
        _ => return Err("see the documentation of this program for its commands".into()),
    }
    Ok(())
}
