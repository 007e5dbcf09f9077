" One code action and one command through ALE.
set nocompatible nomore
packadd ale
let g:ale_linters_explicit = 0
let g:ale_lint_on_text_changed = 'never'
source $TEST_DIR/pieces.vim

let s:results = []
function! s:End(failure) abort
  call writefile(s:results + (empty(a:failure) ? [] : [a:failure]), $RESULT)
  if empty(a:failure) | qall! | else | cquit | endif
endfunction

" Waits until Condition is true: callbacks run while Vim sleeps.
function! s:Wait(what, Condition) abort
  for l:n in range(1200)
    if a:Condition() | return | endif
    sleep 50m
  endfor
  call s:End('timed out: ' . a:what . '; ' . execute('messages') . ' in ' . join(getline(1, '$'), '|'))
endfunction

let s:answer = {}
function! s:Keep(answer) abort
  let s:answer = a:answer
endfunction
function! s:Ask(command, argument, Good) abort
  let s:answer = {}
  call PiecesCommand(a:command, a:argument, function('s:Keep'))
  for l:n in range(100)
    if !empty(s:answer) | return a:Good(s:answer) | endif
    sleep 10m
  endfor
  return 0
endfunction

filetype plugin on
edit notes.txt
call s:Wait('live', {-> s:Ask('pieces.status', {}, {one -> one.state ==# 'live'})})
call ale#codefix#Execute(0)
call s:Wait('a conversation from the file',
\ {-> s:Ask('pieces.conversations.list', {}, {one -> one.total == 1 && one.items[0].name ==# 'notes.txt'})})
call add(s:results, 'ok vim-code-action')
PiecesNew
call s:Wait('its document', {-> getline(1) =~# '^# ' && !&modifiable})
buffer notes.txt
call s:Wait('an empty conversation', {-> s:Ask('pieces.conversations.list', {}, {one -> one.total == 2})})
call add(s:results, 'ok vim-command')
" Asked about a line as it is now, and on in the conversation.
call setline(1, 'Retries without jitter.')
1PiecesAsk Why?
call s:Wait('the answer', {-> search('full jitter.', 'nw') > 0 && !&modifiable})
call s:Wait('what it was about', {-> search('Retries without jitter.', 'nw') > 0})
let s:windows = winnr('$')
PiecesAsk And then?
call s:Wait('the next answer', {-> count(getline(1, '$'), 'Use full jitter.') == 2})
if winnr('$') != s:windows | call s:End('another window') | endif
call add(s:results, 'ok vim-ask')
call s:End('')
