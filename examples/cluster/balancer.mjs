// A load balancer without stickiness: nginx, or a small one in Node if there is no nginx.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { answers, freePort } from './ports.mjs'

/** Where Debian has nginx. */
const env = { ...process.env, PATH: `${process.env.PATH}${delimiter}/usr/sbin` }

export function hasNginx() {
  return spawnSync('nginx', ['-v'], { env, stdio: 'ignore' }).status === 0
}

/**
 * Sends `/realtime` to the nodes, one request to each in turn, and everything else to the page's server.
 * @returns the port, and what ends it
 */
export async function startNginx({ port, nodes, page }) {
  const folder = mkdtempSync(join(tmpdir(), 'everwire-example-'))
  const listens = port || (await freePort())
  writeFileSync(join(folder, 'nginx.conf'), configuration({ listens, nodes, page, folder }))
  const child = spawn('nginx', ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = once(child, 'exit')
  await Promise.race([
    answers(listens),
    ended.then(() => {
      throw new Error(`nginx does not start at port ${listens}`)
    }),
  ])
  const stop = async () => {
    child.kill()
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  return { port: listens, stop }
}

function configuration({ listens, nodes, page, folder }) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `
daemon off; worker_processes 1; pid ${folder}/pid;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 1024; }
http {
  access_log off; error_log stderr crit;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream nodes { ${nodes.map((node) => `server 127.0.0.1:${node} max_fails=0;`).join(' ')} }
  server {
    listen 127.0.0.1:${listens};
    location / { proxy_pass http://127.0.0.1:${page}; proxy_set_header Host $http_host; }
    location /realtime {
      proxy_pass http://nodes; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 60s;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
      proxy_set_header Host $http_host;
    }
  }
}`
}

/** The same in Node. */
export async function startRoundRobin({ port, nodes, page }) {
  let turn = 0
  const open = new Set()

  async function pass(request, reply) {
    const upstream = await connectToOne(isForNodes(request) ? inTurn() : [page])
    if (!upstream) return reply(undefined)
    const { method, url, headers } = request
    const onward = httpRequest({ method, path: url, headers, createConnection: () => upstream })
    onward.once('error', () => reply(undefined))
    return reply(onward)
  }
  const isForNodes = ({ url }) => /^\/realtime(?![^/?])/.test(url)
  const inTurn = () => nodes.map((_, at) => nodes[(turn + at) % nodes.length], turn++)

  const server = createServer((request, response) => {
    pass(request, (onward) => {
      if (!onward) {
        if (response.headersSent) response.destroy()
        else response.writeHead(502).end()
        return
      }
      onward.once('response', (answer) => {
        response.writeHead(answer.statusCode, answer.rawHeaders)
        answer.pipe(response)
        answer.once('close', () => answer.complete || response.destroy())
      })
      response.once('close', () => onward.destroy())
      request.pipe(onward)
    })
  })
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {})
    pass(request, (onward) => {
      if (!onward) {
        socket.destroy()
        return
      }
      const answered = ({ statusCode, statusMessage, rawHeaders }) => {
        const lines = rawHeaders.map((text, at) => (at % 2 ? `${text}\r\n` : `${text}: `)).join('')
        socket.write(`HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines}\r\n`)
      }
      onward.once('response', (answer) => {
        answered(answer)
        answer.pipe(socket)
      })
      onward.once('upgrade', (answer, upstream, first) => {
        answered(answer)
        socket.write(first)
        upstream.write(head)
        socket.pipe(upstream).pipe(socket)
        upstream.on('error', () => {}).once('close', () => socket.destroy())
        socket.once('close', () => upstream.destroy())
      })
      onward.end()
    })
  })
  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const stop = async () => {
    for (const socket of open) socket.destroy()
    server.close()
    await once(server, 'close')
  }
  return { port: server.address().port, stop }
}

/** A connection to the first of these ports at which somebody listens. */
async function connectToOne(ports) {
  for (const port of ports) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    const isOpen = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('close', () => resolve(false))
    })
    if (isOpen) return socket
  }
  return undefined
}
