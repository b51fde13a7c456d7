//! `sealog search`

use clap::Args;

use super::asking::{Paging, WithFilter};
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render;

/// Show the events that a filter selects
///
/// The newest come first, by the time at which they happened. Times are in UTC. With --json, each line is
/// one event, in the very bytes that were sealed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog search 'actor:u-17 since:7d'
  sealog search 'action:user.* outcome:denied,failure ip:203.0.113.0/24' -n 200
  sealog search 'severity>=warning \"reset link\" -expired'
  sealog search resource:invoice:i-4 --all --json > i-4.ndjson

A filter is conditions, all of which must hold, and words that the event holds:
  severity:error  severity>=warning    this severity; this one and every higher one
  action:user.login  action:user.*     this action; each that begins with user.
  actor:u-17  actor-type:agent         this actor; this kind of actor
  resource:invoice:i-4                 this resource; resource-type:invoice for all of a kind
  outcome:denied  tag:beta             this outcome: success, failure, denied; this tag
  ip:203.0.113.9  ip:10.0.0.0/8        this address; this network
  tenant:acme  session:s-1  request:r-1  retention:short
  since:7d  until:2026-01-31           from this time on; before it. 45s, 30m, 12h, 7d, 2w ago, a
                                       date, RFC 3339, or milliseconds since 1970
  changed:spec.replicas                a change that touches this path
  reset link  \"reset link\"  -expired   both words; the two in a row; not this word
Commas separate alternatives: actor:u-1,u-2. Quote the filter, so that the shell leaves it alone, and
write -- before one that begins with a dash.

Where there are more events, standard error tells how to go on: to a person the command, with --json
one line, {\"nextCursor\": \"…\"}. Standard output holds nothing but events. --all shows them all.")]
pub(crate) struct Search {
    #[command(flatten)]
    filter: WithFilter,
    #[command(flatten)]
    paging: Paging,
}

impl Search {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let filter = self.filter.read()?;
        let log = shared.open_to_read().await?;
        let columns = output::columns();
        let ask = async |page: &_| log.search(&filter, page).await;
        let (shown, next) = self.paging.show(&log, out, ask, |record| render::line(record, columns)).await?;
        match next {
            // With the times that its ages meant now, so that the next page is of the same events.
            Some(cursor) => self.paging.more(shared, "search", &[&filter.to_string()], &cursor),
            None if shown == 0 && !out.json => output::note("No event is selected."),
            None => {}
        }
        Ok(())
    }
}
