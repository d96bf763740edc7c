import { Command } from 'commander'
import { run } from '../../lib/run.js'

export const command = new Command('demo')
  .description(
    'show which of seven connections detect that their peers have vanished, and when; takes about 14 s',
  )
  .option('--json', 'one JSON object a line')
  .addHelpText(
    'after',
    `
With --json each line has t (ms since the peers vanished) and event. Most events have a connection: untouched,
setKeepAlive, backpressured, watched, lan, kernel or heartbeat. Times are in ms; a predicted time of null means never. The events:
  open      label, profile (read back from the kernel), predicted
  silence   every peer has vanished
  probe     unanswered: the number of keepalive probes without an acknowledgement
  death     noticed (whether Node has noticed it), error, predicted, actual (ms since the peer was last heard)
  vanished  connections: the size of a pool of other connections; vanished: how many of them have lost their peer
  asked     one probeAll for the whole pool: took, answered, wrong, untouched, and for each unresponsive connection
            port, evidence, attempts, idleFor
  noticed   Node notices a death that it had missed: error, actual
  waiting   the connection is still open at the end
  summary   the last line: ok, failures, and the state of each connection: open, dead, or zombie (dead in the kernel only)

Exit code: 0 if every tuned connection ended as predicted and every verdict on the pool was right; 1 if not; 2 for a bad option; 130 after Ctrl-C.`,
  )
  .action((options: { json?: boolean }) =>
    run(async () => (await import('./demo.js')).demo({ json: options.json === true })),
  )
