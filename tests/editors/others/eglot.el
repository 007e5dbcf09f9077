;;; eglot.el --- one code action and one link through eglot  -*- lexical-binding: t -*-
(setq eglot-sync-connect 60 eglot-connect-timeout 60 eglot-autoshutdown t
      eglot-confirm-server-edits nil)
(defun test-command (command &optional argument)
  (jsonrpc-request (eglot-current-server) :workspace/executeCommand
                   `(:command ,command :arguments ,(if argument (vector argument) []))))
(find-file "notes.txt")
(apply #'eglot (eglot--guess-contact))
(test-wait "the server" #'eglot-managed-p)
(test-wait "live" (lambda () (equal "live" (plist-get (test-command "pieces.status") :state))))

(let ((action (test-wait
               "the code action"
               (lambda ()
                 (seq-find (lambda (one) (string-match-p "Start a conversation" (plist-get one :title)))
                           (eglot-code-actions (point-min) (point-min) nil nil))))))
  (eglot-execute (eglot-current-server) action)
  ;; What was started is shown.
  (test-wait "a conversation from the file"
             ;; The package is loaded by the first conversation that is shown.
             (lambda () (get-buffer "Pieces: notes.txt"))))
(princ "ok emacs-code-action\n")

;; A link in a file leads to the conversation, and so does the server's own command.
(let* ((buffer (car (pieces--buffers))) (uri (buffer-file-name buffer)))
  (kill-buffer buffer)
  (set-buffer "notes.txt")
  (goto-char (point-max))
  (save-excursion (insert "see " uri "\n"))
  (search-forward "pieces-")
  (xref-find-definitions (xref-backend-identifier-at-point 'eglot))
  (test-equal "the definition" uri buffer-file-name)
  (kill-buffer)
  (set-buffer "notes.txt")
  (test-command "pieces.conversations.open" `(:conversation ,(substring uri (length "pieces-conversation:/") -3)))
  (test-wait "the document" (lambda () (find-buffer-visiting uri)))
  (test-wait "its text" (lambda () (with-current-buffer (find-buffer-visiting uri)
                                     (string-prefix-p "# notes.txt" (buffer-string))))))
(princ "ok emacs-document\n")
(set-buffer "notes.txt")
(set-buffer-modified-p nil)
(eglot-shutdown (eglot-current-server))
