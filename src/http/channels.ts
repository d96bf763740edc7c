import diagnostics from 'node:diagnostics_channel'

/** What happens to the connections and requests of an agent, as it happens. docs/guide.md lists the messages. */
const channels = {
  opened: diagnostics.channel('deadpeer:http:opened'),
  closed: diagnostics.channel('deadpeer:http:closed'),
  staleReuse: diagnostics.channel('deadpeer:http:stale-reuse'),
  retried: diagnostics.channel('deadpeer:http:retried'),
}

/** Publishes a message, and makes it only if there is a subscriber. */
export function tell(name: keyof typeof channels, message: () => object): void {
  if (channels[name].hasSubscribers) channels[name].publish(message())
}
