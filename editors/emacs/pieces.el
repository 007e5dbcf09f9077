;;; pieces.el --- Conversations with Pieces: list, read, ask  -*- lexical-binding: t -*-

;; Author: The pieces-lsp authors
;; Maintainer: The pieces-lsp authors
;; Version: 0.1.0
;; Package-Requires: ((emacs "30.1"))
;; Keywords: convenience, tools
;; URL: https://github.com/pieces-lsp/pieces-lsp
;; SPDX-License-Identifier: MIT OR Apache-2.0

;;; Commentary:

;; Conversations with the Pieces copilot, through the program pieces-lsp,
;; which has to be on the PATH.
;;
;;   M-x pieces-open    choose a conversation and read it
;;   M-x pieces-ask     ask about the region, the file, or in the conversation
;;   M-x pieces-start   start a conversation about the region or the file
;;   M-x pieces-search  search in all messages
;;
;; The program is started by the first command.  It is a process of its own,
;; beside the language server of a buffer.

;;; Code:

(require 'outline)
(require 'pieces-ask)
(require 'pieces-client)

;;;; Conversations by name

(defun pieces--age (time)
  "The age of TIME, RFC 3339, as \"now\", \"5 min\", \"3 h\", \"2 d\", \"4 mo\" or \"1 y\"."
  (let ((age (max 0 (- (float-time) (float-time (date-to-time time))))))
    (cond ((< age 60) "now")
          ((< age 3600) (format "%d min" (/ age 60)))
          ((< age 86400) (format "%d h" (/ age 3600)))
          ((< age (* 30 86400)) (format "%d d" (/ age 86400)))
          ((< age (* 365 86400)) (format "%d mo" (/ age (* 30 86400))))
          (t (format "%d y" (/ age (* 365 86400)))))))

(defun pieces--line (text)
  "TEXT as one line without control characters."
  (string-trim (replace-regexp-in-string "[[:cntrl:]\u2028\u2029[:space:]]+" " " (or text ""))))

(defun pieces--labels (items)
  "Label ITEMS by name, as an alist.
Equal names are told apart by age, then by number."
  (let ((names (make-hash-table :test #'equal)) (taken (make-hash-table :test #'equal)))
    (seq-doseq (item items)
      (cl-incf (gethash (pieces--line (plist-get item :name)) names 0)))
    (seq-map
     (lambda (item)
       (let* ((name (pieces--line (plist-get item :name)))
              (label (if (= 1 (gethash name names)) name
                       (format "%s · \u200e%s" name (pieces--age (plist-get item :updated)))))
              (count (cl-incf (gethash label taken 0))))
         (cons (if (= 1 count) label (format "%s, %d" label count)) item)))
     items)))

(defun pieces--choose (prompt items annotate)
  "Let the user choose one of ITEMS with PROMPT.
ANNOTATE is a function that tells more about one."
  (let* ((labels (pieces--labels items))
         (by-label (let ((map (make-hash-table :test #'equal :size (length labels))))
                     (pcase-dolist (`(,label . ,item) labels map) (puthash label item map))))
         (table (lambda (string predicate action)
                  (if (eq action 'metadata)
                      `(metadata
                        (category . pieces)
                        (display-sort-function . identity)
                        (cycle-sort-function . identity)
                        (annotation-function
                         ;; The mark keeps what is said apart from a name written from right to left.
                         . ,(lambda (label)
                              (concat "\u200e  " (funcall annotate (gethash label by-label))))))
                    (complete-with-action action labels string predicate)))))
    (unless items (user-error "There is nothing to choose from"))
    (let ((completion-ignore-case t))
      (gethash (completing-read prompt table nil t) by-label))))

;; A name is found by any of its words.
(add-to-list 'completion-category-defaults '(pieces (styles basic substring)))

(defun pieces--read (prompt)
  "Let the user choose a conversation with PROMPT; return the item."
  (pieces--settled)
  (pieces--choose prompt
                  (plist-get (pieces-command "pieces.conversations.list" '(:limit 10000)) :items)
                  (lambda (item)
                    (let ((messages (plist-get item :messages)))
                      (format "%s, %d message%s" (pieces--age (plist-get item :updated))
                              messages (if (eql messages 1) "" "s"))))))

(defun pieces--this-or-read (prompt)
  "The id of this buffer's conversation, or of one chosen with PROMPT."
  (or (pieces--id) (plist-get (pieces--read prompt) :id)))

(defvar pieces--filled)

;;;###autoload
(defun pieces-open (id)
  "Choose a conversation and read it; from Lisp, the one with this ID."
  (interactive (list (plist-get (pieces--read "Conversation: ") :id)))
  (pieces--server)
  (find-file (format "pieces-conversation:/%s.md" id))
  (with-timeout (5)
    (while (not pieces--filled) (accept-process-output nil 0.02))))

;;;###autoload
(defalias 'pieces-list #'pieces-open)

;;;###autoload
(defun pieces-new ()
  "Start an empty conversation."
  (interactive)
  (pieces--settled)
  (pieces-open (plist-get (pieces-command "pieces.conversations.create") :id)))

;;;###autoload
(defun pieces-start ()
  "Start a conversation about the region, or about the file of this buffer."
  (interactive)
  (pieces--settled)
  (let ((target (pieces--target)))
    (unless (plist-get target :uri) (user-error "This buffer has no file"))
    (let ((close (pieces--open-document target)))
      (unwind-protect
          (pieces-open (plist-get (pieces-command "pieces.conversations.startFromDocument"
                                                  `(,@(pieces--about target) :show :json-false))
                                  :conversation))
        (funcall close)))))

;;;###autoload
(defun pieces-search (words)
  "Search for WORDS in all messages, and go to the message that the user chooses."
  (interactive "sSearch in messages: ")
  (pieces--settled)
  (let* ((found (pieces-command "pieces.conversations.search" `(:query ,words :limit 200)))
         (hits (seq-map (lambda (hit)
                          `(:name ,(plist-get hit :excerpt) :updated ,(plist-get hit :time) :hit ,hit))
                        (plist-get found :items)))
         (chosen (plist-get
                  (pieces--choose "Message: " hits
                                  (lambda (one)
                                    (let ((item (plist-get (plist-get one :hit) :conversation)))
                                      (pieces--line (plist-get item :name)))))
                  :hit)))
    (pieces-open (plist-get (plist-get chosen :conversation) :id))
    (goto-char (point-min))
    (forward-line (plist-get chosen :line))
    (search-forward words nil t)))

;;;###autoload
(defun pieces-rename (id name)
  "Give the conversation ID another NAME."
  (interactive (list (pieces--this-or-read "Rename: ") (read-string "New name: ")))
  (pieces-command "pieces.conversations.rename" `(:conversation ,id :name ,name)))

;;;###autoload
(defun pieces-delete (id)
  "Delete the conversation ID, so that `pieces-restore' can undo it."
  (interactive (list (pieces--this-or-read "Delete: ")))
  (when (eq t (plist-get (pieces-command "pieces.conversations.delete" `(:conversation ,id)) :deleted))
    (when-let* ((buffer (pieces--buffer id))) (kill-buffer buffer))
    (message "Deleted.  M-x pieces-restore brings it back")))

;;;###autoload
(defun pieces-restore ()
  "Bring back a conversation that was deleted."
  (interactive)
  (pieces--settled)
  (let ((chosen (pieces--choose
                 "Restore: "
                 (seq-map (lambda (item) (append item (list :updated (plist-get item :deleted))))
                          (plist-get (pieces-command "pieces.conversations.trash") :items))
                 (lambda (item) (format "deleted: %s" (pieces--age (plist-get item :deleted)))))))
    (pieces-open (plist-get (pieces-command "pieces.conversations.restore"
                                            `(:conversation ,(plist-get chosen :conversation)))
                            :conversation))))

;;;###autoload
(defun pieces-model (name)
  "Choose the model NAME for the rest of this session."
  (interactive
   (let ((models (pieces-command "pieces.models")))
     (when (equal (plist-get models :source) "none") (user-error "%s" pieces--no-model))
     (list (completing-read "Model: " (mapcar (lambda (one) (plist-get one :name))
                                              (plist-get models :items))))))
  (setq pieces-settings (plist-put (copy-sequence pieces-settings) :model name))
  (jsonrpc-notify (pieces--server) :workspace/didChangeConfiguration
                  `(:settings (:pieces (:liveUpdates t ,@pieces-settings)))))

;;;; Documents

(defun pieces--show (id)
  "Show the conversation ID in another window, without going there."
  (display-buffer (find-file-noselect (format "pieces-conversation:/%s.md" id))))

;;;###autoload
(defun pieces-file-handler (operation &rest args)
  "Read conversations as files; OPERATION and ARGS are those of a file."
  (pcase operation
    ((or 'expand-file-name 'file-truename 'abbreviate-file-name 'file-name-sans-versions)
     (car args))
    ((or 'file-exists-p 'file-readable-p 'file-regular-p) t)
    ((or 'file-writable-p 'file-directory-p 'file-remote-p 'file-symlink-p 'vc-registered) nil)
    ('file-name-directory "/")
    ('file-name-nondirectory (string-remove-prefix "pieces-conversation:/" (car args)))
    ;; The text comes later, from the mode: an answer to another request, such
    ;; as the one of eglot that has led here, would cut a wait for it short.
    ('insert-file-contents
     (pcase-let ((`(,uri ,visit ,_ ,_ ,replace) args))
       (when visit (setq buffer-file-name uri))
       (unless replace (save-excursion (insert "Reading…\n")))
       (list uri (buffer-size))))
    (_ (let ((inhibit-file-name-handlers (list #'pieces-file-handler))
             (inhibit-file-name-operation operation))
         (apply operation args)))))

;;;###autoload
(add-to-list 'file-name-handler-alist '("\\`pieces-conversation:/" . pieces-file-handler))
;;;###autoload
(add-to-list 'auto-mode-alist '("\\`pieces-conversation:/" . pieces-conversation-mode))

(defun pieces--replace (text)
  "Make TEXT the text of this buffer.
What stands before the first change is left alone."
  (let* ((inhibit-read-only t)
         (same (compare-strings (buffer-substring-no-properties (point-min) (point-max)) nil nil
                                text nil nil))
         (from (if (eq t same) nil (1- (abs same))))
         (at-end (seq-filter (lambda (window) (= (window-point window) (point-max)))
                             (get-buffer-window-list nil nil t))))
    (when from
      (save-excursion
        (delete-region (+ (point-min) from) (point-max))
        (goto-char (point-max))
        (insert (substring text from)))
      ;; Those who read the end follow it.
      (dolist (window at-end) (set-window-point window (point-max))))
    (set-buffer-modified-p nil)))

(defvar-local pieces--filled nil "Whether the text of this buffer has come.")

(defun pieces--refresh (buffer)
  "Read the conversation in BUFFER again, in the background."
  (when (and (buffer-live-p buffer) (pieces--id buffer))
    (let (started)
      (unwind-protect
          (progn (pieces--server) (setq started t))
        (unless started (run-with-timer 0.2 nil #'pieces--refresh buffer))))
    (jsonrpc-async-request
     pieces--connection :workspace/textDocumentContent
     `(:uri ,(buffer-local-value 'buffer-file-name buffer))
     :success-fn (lambda (result)
                   (when (buffer-live-p buffer)
                     (with-current-buffer buffer
                       (pieces--replace (plist-get result :text))
                       (unless pieces--filled (pieces--watch))
                       (setq pieces--filled t)
                       (pieces--name-buffer))))
     :error-fn (lambda (problem)
                 (message "Pieces: %s" (plist-get problem :message))))))

(defun pieces--watch ()
  "Watch the conversation of this buffer."
  (let ((server pieces--connection) (uri buffer-file-name))
    (jsonrpc-notify server :textDocument/didOpen
                    `(:textDocument (:uri ,uri :version 0 :languageId "markdown" :text "")))
    (add-hook 'kill-buffer-hook
              (lambda ()
                (when (jsonrpc-running-p server)
                  (jsonrpc-notify server :textDocument/didClose `(:textDocument (:uri ,uri)))))
              nil t)))

(defvar-local pieces--due nil "The timer of a planned reading.")

(defun pieces--refresh-soon (buffer)
  "Read the conversation in BUFFER again, four times a second at most."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (unless pieces--due
        (setq pieces--due
              (run-with-timer 0.25 nil (lambda ()
                                         (when (buffer-live-p buffer)
                                           (with-current-buffer buffer (setq pieces--due nil))
                                           (pieces--refresh buffer)))))))))

(defun pieces--name-buffer ()
  "Call this buffer by the name of its conversation."
  (save-excursion
    (goto-char (point-min))
    (when (looking-at "# \\(.+\\)")
      (let ((name (concat "Pieces: " (pieces--line (replace-regexp-in-string
                                                    "\\\\\\([[:punct:]]\\)" "\\1"
                                                    (match-string 1))))))
        (unless (string-prefix-p name (buffer-name))
          (rename-buffer name t))))))

(defvar-keymap pieces-conversation-mode-map
  "a" #'pieces-ask
  "i" #'pieces-ask
  "n" #'pieces-next-message
  "p" #'pieces-previous-message
  "w" #'pieces-copy-code
  "C-c C-i" #'pieces-insert-code
  "C-c C-k" #'pieces-stop)

;;;###autoload
(define-derived-mode pieces-conversation-mode special-mode "Pieces"
  "A conversation: read-only Markdown that follows what is said."
  (setq-local outline-regexp "^## " outline-level (lambda () 1)
              font-lock-defaults '((("^#+ .*" . 'outline-1) ("^\\(```\\|~~~\\).*" . 'shadow)) t)
              mode-line-process '(:eval (pieces--mode-line)))
  (outline-minor-mode)
  (visual-line-mode)
  (pieces--refresh (current-buffer)))

(defun pieces--mode-line ()
  "What is happening in this buffer's conversation."
  (if-let* ((status (gethash (pieces--id) pieces--answers))) (format " [%s]" status) ""))

(defun pieces-next-message (&optional count)
  "Go to the next message, or COUNT messages on."
  (interactive "p")
  (outline-next-visible-heading (or count 1)))

(defun pieces-previous-message (&optional count)
  "Go to the message before, or COUNT messages back."
  (interactive "p")
  (outline-next-visible-heading (- (or count 1))))

(defun pieces--code ()
  "The code block around point."
  (let ((here (line-beginning-position)) code)
    (save-excursion
      (goto-char (point-min))
      (while (and (not code) (<= (point) here)
                  (re-search-forward "^[ >]*\\(```+\\|~~~+\\).*\n" nil t))
        (let ((begin (point)) (opening (match-beginning 0)) (fence (match-string 1)))
          (when (re-search-forward (format "^[ >]*%s[`~]* *$" (regexp-quote fence)) nil t)
            (when (<= opening here (point))
              (setq code (buffer-substring-no-properties begin (match-beginning 0))))))))
    (or code (user-error "There is no code block at point"))))

(defun pieces-copy-code ()
  "Copy the code block at point."
  (interactive)
  (kill-new (pieces--code))
  (message "Copied"))

(defun pieces-insert-code ()
  "Insert the code block at point at the point of the other window."
  (interactive)
  (let ((code (pieces--code)) (window (next-window)))
    (with-selected-window window
      (barf-if-buffer-read-only)
      (insert code))))

(provide 'pieces)
;;; pieces.el ends here
