// Which proxy the option `proxy` means, and which variables of the environment.
import { describe, expect, test } from 'vitest'
import { proxyFor } from '../../client/node/node-proxy.ts'

function named(option: string | URL, server: string, env: Record<string, string> = {}): string | undefined {
  return proxyFor(option, new URL(server), env)?.name
}

test('a URL of a proxy', () => {
  expect(proxyFor('https://a%40b:c%3A@[::1]:8443', new URL('ws://x/'), {})).toEqual({
    protocol: 'https:',
    host: '::1',
    port: 8443,
    name: '[::1]:8443',
    headers: { 'Proxy-Authorization': `Basic ${btoa('a@b:c:')}` },
  })
  expect(named(new URL('http://p/'), 'wss://x/')).toBe('p:80')
  expect(named('p:3128', 'wss://x/')).toBe('p:3128')
})

test.each(['socks5://p:1', 'http://', 'ftp://p', ''])('%o is none, and no password is quoted', (text) => {
  expect(() => named(text, 'ws://x/')).toThrow('The option "proxy" must be a URL of a proxy')
  expect(() => named('environment', 'ws://x/', { http_proxy: `socks5://n:secret@p` })).toThrow(
    /^The environment variable http_proxy must be(?!.*secret)/,
  )
})

describe('of the environment', () => {
  test.each<[server: string, env: Record<string, string>, proxy: string | undefined]>([
    ['ws://x/', {}, undefined],
    ['ws://x/', { HTTP_PROXY: 'http://p' }, 'p:80'],
    ['ws://x/', { HTTPS_PROXY: 'http://p' }, undefined],
    ['wss://x/', { HTTPS_PROXY: 'http://p' }, 'p:80'],
    ['https://x/', { HTTP_PROXY: 'http://p' }, undefined],
    ['wss://x/', { https_proxy: 'http://small', HTTPS_PROXY: 'http://p' }, 'small:80'],
    ['wss://x/', { ALL_PROXY: 'http://all' }, 'all:80'],
    ['wss://x/', { https_proxy: '', ALL_PROXY: 'http://all' }, undefined],
    ['wss://x/', { https_proxy: 'p:1', NO_PROXY: '*' }, undefined],
    ['wss://x.example/', { https_proxy: 'p:1', NO_PROXY: 'y.example, x.example' }, undefined],
    ['wss://a.x.example/', { https_proxy: 'p:1', NO_PROXY: '.x.example' }, undefined],
    ['wss://a.x.example/', { https_proxy: 'p:1', NO_PROXY: 'X.example' }, undefined],
    ['wss://a.x.example/', { https_proxy: 'p:1', NO_PROXY: '*.x.example' }, undefined],
    ['wss://ax.example/', { https_proxy: 'p:1', NO_PROXY: 'x.example' }, 'p:1'],
    ['wss://x/', { https_proxy: 'p:1', NO_PROXY: 'x:443' }, undefined],
    ['wss://x:8443/', { https_proxy: 'p:1', NO_PROXY: 'x:443' }, 'p:1'],
    ['ws://x/', { http_proxy: 'p:1', no_proxy: 'x:80' }, undefined],
    ['ws://[::1]:9/', { http_proxy: 'p:1', no_proxy: '::1' }, undefined],
    ['ws://[::1]:9/', { http_proxy: 'p:1', no_proxy: '[::1]:9' }, undefined],
    ['ws://[::1]:9/', { http_proxy: 'p:1', no_proxy: '[::1]:8' }, 'p:1'],
    ['wss://10.1.2.3/', { https_proxy: 'p:1', NO_PROXY: '10.0.0.0/8,192.168.0.0/16' }, undefined],
    ['wss://192.168.2.3/', { https_proxy: 'p:1', NO_PROXY: '10.0.0.0/8,192.168.0.0/16' }, undefined],
    ['wss://11.1.2.3/', { https_proxy: 'p:1', NO_PROXY: '10.0.0.0/8' }, 'p:1'],
    ['wss://10.example/', { https_proxy: 'p:1', NO_PROXY: '10.0.0.0/8' }, 'p:1'],
    ['wss://10.1.2.3/', { https_proxy: 'p:1', NO_PROXY: '10.0.0.0/33,10.0.0.0/,10.0.0/8,x/8' }, 'p:1'],
    ['wss://[fd00::5]/', { https_proxy: 'p:1', NO_PROXY: 'fd00::/8' }, undefined],
    ['wss://[fe00::5]/', { https_proxy: 'p:1', NO_PROXY: 'fd00::/8,0.0.0.0/0' }, 'p:1'],
    ['wss://x.example./', { https_proxy: 'p:1', NO_PROXY: 'x.example' }, undefined],
    ['wss://a.x.example/', { https_proxy: 'p:1', NO_PROXY: 'x.example.' }, undefined],
    ['ws://127.0.0.1/', { http_proxy: 'p:1', no_proxy: ' ,127.0.0.1' }, undefined],
    ['ws://x/', { http_proxy: 'p:1', no_proxy: '' }, 'p:1'],
  ])('%s with %o: %s', (server, env, proxy) => {
    expect(named('environment', server, env)).toBe(proxy)
  })
})
