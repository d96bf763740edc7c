import { Command, Option } from 'commander'
import { RepeatableOption, timeOption } from '../../lib/command-options.js'
import { endWords } from '../../lib/format-socket.js'
import { timeArgument } from '../../lib/number-argument.js'
import { runInterruptible } from '../../lib/run.js'
import { samplingInterval } from '../../lib/sampling-interval.js'
import type { ExportCommandOptions } from './export.js'
import { DEFAULT_LISTEN, listenArgument } from './listen-argument.js'
import { processArgument } from './process-argument.js'

export const command = new Command('export')
  .description(
    "serve metrics of the host's connections to Prometheus: verdicts, deaths by reason, the kernel's counters",
  )
  .addOption(
    new Option('--listen <where>', 'a port on 127.0.0.1, or an address and a port, such as 0.0.0.0:9733')
      .argParser(listenArgument)
      .default(DEFAULT_LISTEN, endWords(DEFAULT_LISTEN)),
  )
  .addOption(
    timeOption(
      '--every <time>',
      'interval of the samples that find deaths between two scrapes',
      timeArgument(samplingInterval),
      1_000,
    ),
  )
  .addOption(
    new RepeatableOption(
      '--process <name>',
      'count the connections of this process by its name; repeatable; default: the first 20 processes, those with most connections first',
    ).argParser(processArgument),
  )
  .addHelpText(
    'after',
    `
Serves /metrics until Ctrl-C. docs/metrics.md lists the metrics and their labels, and has alerts. The command needs prom-client: npm install prom-client. The metrics name at most 20 processes, and count all others together. The command changes no connection and needs no privileges; with CAP_SYS_PTRACE it
also sees other users' processes.

  deadpeer export
  curl -s http://127.0.0.1:9733/metrics | grep deaths
  sudo deadpeer export --listen 0.0.0.0:9733 --process nginx --process postgres

Exit code: 2 for bad input, or if the command cannot listen on the address; 130 after Ctrl-C.`,
  )
  .action((options: ExportCommandOptions) =>
    runInterruptible(async (signal) => (await import('./export.js')).exportCommand(options, signal)),
  )
