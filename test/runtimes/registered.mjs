// Does not import deadpeer/register. Prints the initialDelay that its connections have.
import net from 'node:net'
import { inspect } from 'deadpeer'

const server = net.createServer()
const accepted = new Promise((resolve) => server.on('connection', resolve))
server.listen(0, '127.0.0.1', () => {
  const socket = net.connect(server.address().port, '127.0.0.1', async () => {
    const initialDelay = (connection) => inspect(connection).profile.initialDelay
    console.log(JSON.stringify({ opened: initialDelay(socket), accepted: initialDelay(await accepted) }))
    process.exit()
  })
})
